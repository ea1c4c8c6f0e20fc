# Needs make and Python 3.11 or newer as python3 (or PYTHON=...). Everything else is installed into .venv/ on
# the first run.

AIRFLOW ?= 3.3.2
PYTHON  ?= python3
TESTS   ?=
PORT    ?= 8080
SANDBOX_PORT ?= 8765
BENCH   ?=

ifeq ($(filter clean help,$(or $(MAKECMDGOALS),help)),)
PYVER := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2]) if sys.version_info >= (3, 11) else 0' 2>/dev/null)
ifeq ($(PYVER),)
$(error Python 3.11 or newer is needed, and "$(PYTHON)" is none: name one with make PYTHON=/path/to/python3.11)
endif
endif

VENV  := .venv/airflow-$(AIRFLOW)-py$(PYVER)
RUN   := $(VENV)/bin/python
READY := $(VENV)/.ready
PINS  := $(wildcard constraints/airflow-$(AIRFLOW).txt constraints/dev.txt constraints/build.txt constraints/uv.txt)

# The benchmarks compare this provider with others on one Airflow version.
BENCH_VENV  := .venv/bench-airflow-3.3.2-py$(PYVER)
BENCH_READY := $(BENCH_VENV)/.ready
BENCH_PINS  := $(addprefix constraints/,airflow-3.3.2.txt bench.txt build.txt uv.txt)

# The documentation is built with the newest Airflow, since its reference imports the package.
DOCS_VENV  := .venv/docs-airflow-3.3.2-py$(PYVER)
DOCS_READY := $(DOCS_VENV)/.ready
DOCS_PINS  := $(addprefix constraints/,airflow-3.3.2.txt docs.txt build.txt uv.txt)
DOCS_PORT  ?= 8000

.DEFAULT_GOAL := help
.PHONY: help demo test test-coverage test-slow test-system test-contract test-matrix bench airflow docs docs-serve screenshots lint format types layers venv constraints package clean

help:  ## list the targets
	@echo "make TARGET [AIRFLOW=$(AIRFLOW)] [PYTHON=$(PYTHON)]"
	@sed -n 's/^\([a-z-]*\):[^#]*##  *\(.*\)/  \1\t\2/p' Makefile | expand -t 16

demo: $(READY)  ## run the weather alert in a real Airflow against the sandbox; nothing leaves this machine
	@$(RUN) -m tools.demo $(DEMO)

test: $(READY)  ## run the tests, except those marked slow; TESTS="tests/client -k token -x" runs any selection
ifdef TESTS
	$(RUN) -m pytest $(TESTS)
else
	@# More processes than cores: many tests wait for a server or a process.
	$(RUN) -m pytest -m "not slow" --numprocesses 4 --dist loadgroup
endif

test-coverage: $(READY)  ## run the tests like make test, and print how much of the package they cover
	$(RUN) -m pytest -m "not slow" --numprocesses 4 --dist loadgroup --cov=airflow_provider_bm --cov-report=term:skip-covered

test-slow: $(READY)  ## run the tests marked slow: browsers, killed processes, fuzzing
	$(RUN) -m pytest -m slow --ignore tests/system --numprocesses 2 --dist loadgroup

test-system: $(READY)  ## run the tests that start a whole Airflow, one at a time
	$(RUN) -m pytest -m slow tests/system

test-contract: $(READY)  ## generate clients from the OpenAPI contract, and run them (needs Node.js and Java)
	$(VENV)/bin/python -m tests.contract.clients.run .venv/contract

test-matrix:  ## run the tests that depend on versions on every supported Airflow and Python; prints a table
	@$(PYTHON) tools/test_matrix.py $(MATRIX)

bench: $(BENCH_READY)  ## measure waiting, parsing and creating against other providers; BENCH=--quick takes three minutes
	@$(BENCH_VENV)/bin/python -m benchmarks $(BENCH)

airflow: $(READY)  ## start a local Airflow with UI, examples and sandbox; Ctrl-C stops it; PORT=8080
	@$(RUN) -m tools.run_airflow --port $(PORT) --sandbox-port $(SANDBOX_PORT)

docs: $(DOCS_READY)  ## build the documentation into docs/_build/html; a warning is an error
	@$(DOCS_VENV)/bin/python -m sphinx --builder html --fail-on-warning --keep-going --quiet --jobs auto --doctree-dir docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

docs-serve: docs  ## build the documentation and serve it; Ctrl-C stops it; DOCS_PORT=8000
	@$(DOCS_VENV)/bin/python -m http.server $(DOCS_PORT) --bind 127.0.0.1 --directory docs/_build/html

screenshots: $(READY)  ## make the screenshots of the documentation; needs Chromium; PICTURES="sandbox demo airflow"
	@$(RUN) -m tools.screenshots $(PICTURES)

lint: $(READY)  ## check style and common mistakes
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: $(READY)  ## format the code
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

types: $(READY)  ## check static types: the package, the tools and programs that use the package
	$(RUN) -m mypy
	$(VENV)/bin/basedpyright --pythonpath $(RUN)

layers: $(READY)  ## check which package may import which
	$(VENV)/bin/lint-imports --no-cache

venv: $(READY)  ## only set up the virtual environment

package: $(READY)  ## build wheel and sdist into dist/
	.venv/uv/bin/uv build --quiet --python $(RUN) --build-constraint constraints/build.txt
	@ls -l dist

constraints:  ## pin the newest versions in constraints/; KEEP=1 only adds and removes pins
	@$(PYTHON) tools/setup_venv.py --airflow $(AIRFLOW) --uv-only
	$(PYTHON) tools/compile_constraints.py --uv .venv/uv/bin/uv $(if $(KEEP),--keep)

clean:  ## remove everything that make created
	rm -rf .venv .airflow dist docs/_build docs/reference/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml tools/setup_venv.py $(PINS)
	@$(PYTHON) tools/setup_venv.py --airflow $(AIRFLOW) --venv $(VENV)

$(BENCH_READY): pyproject.toml tools/setup_venv.py $(BENCH_PINS)
	@$(PYTHON) tools/setup_venv.py --airflow 3.3.2 --venv $(BENCH_VENV) --group bench

$(DOCS_READY): pyproject.toml tools/setup_venv.py $(DOCS_PINS)
	@$(PYTHON) tools/setup_venv.py --airflow 3.3.2 --venv $(DOCS_VENV) --group docs
