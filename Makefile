# Needs make, and any Python from 3.11 on as python3 (or PYTHON=...). Everything else is installed into
# .venv/ at the first run.

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

# The benchmarks compare with other providers, on one Airflow.
BENCH_VENV  := .venv/bench-airflow-3.3.2-py$(PYVER)
BENCH_READY := $(BENCH_VENV)/.ready
BENCH_PINS  := $(addprefix constraints/,airflow-3.3.2.txt bench.txt build.txt uv.txt)

.DEFAULT_GOAL := help
.PHONY: help demo test bench airflow lint format types venv constraints package clean

help:  ## what can be made (this list)
	@echo "make TARGET [AIRFLOW=$(AIRFLOW)] [PYTHON=$(PYTHON)]"
	@sed -n 's/^\([a-z]*\):[^#]*##  *\(.*\)/  \1\t\2/p' Makefile | expand -t 16

demo: $(READY)  ## the weather alert, in a real Airflow against the sandbox: nothing leaves this machine
	@$(RUN) -m tools.demo

test: $(READY)  ## all tests; TESTS="tests/client -k token -x" for some of them
ifdef TESTS
	$(RUN) -m pytest $(TESTS)
else
	$(RUN) -m pytest --ignore tests/system --numprocesses 2 --dist loadgroup
	@# By themselves: a whole Airflow is busy enough.
	$(RUN) -m pytest tests/system
endif

bench: $(BENCH_READY)  ## what waiting, parsing and creating cost, beside others; BENCH="--quick" for a minute's
	@$(BENCH_VENV)/bin/python -m benchmarks $(BENCH)

airflow: $(READY)  ## a local Airflow with UI, examples and sandbox, until Ctrl-C; PORT=8080
	@$(RUN) -m tools.run_airflow --port $(PORT) --sandbox-port $(SANDBOX_PORT)

lint: $(READY)  ## style and common mistakes
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: $(READY)  ## put the code into shape
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

types: $(READY)  ## static types
	$(RUN) -m mypy

venv: $(READY)  ## only the set-up

package: $(READY)  ## wheel and sdist into dist/
	.venv/uv/bin/uv build --quiet --python $(RUN) --build-constraint constraints/build.txt
	@ls -l dist

constraints:  ## pin what is installed anew, from today's packages
	@$(PYTHON) tools/setup_venv.py --airflow $(AIRFLOW) --uv-only
	$(PYTHON) tools/compile_constraints.py --uv .venv/uv/bin/uv

clean:  ## remove everything that was made
	rm -rf .venv .airflow dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml tools/setup_venv.py $(PINS)
	@$(PYTHON) tools/setup_venv.py --airflow $(AIRFLOW) --venv $(VENV)

$(BENCH_READY): pyproject.toml tools/setup_venv.py $(BENCH_PINS)
	@$(PYTHON) tools/setup_venv.py --airflow 3.3.2 --venv $(BENCH_VENV) --group bench
