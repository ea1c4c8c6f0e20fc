"""The documentation is correct: links, code, names, arguments, and the messages that it quotes."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import tomllib
import urllib.error
import urllib.request
from dataclasses import fields, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_bm import campaigns, exceptions, operators, sandbox
from airflow_provider_bm.campaigns.constants import CONDITIONS
from airflow_provider_bm.client import BMClient, BMSettings, assumptions
from airflow_provider_bm.client.assumptions import CREATED_DT_TOLERANCE
from airflow_provider_bm.client.connection import EXTRAS
from airflow_provider_bm.idempotency.key import name_with_key
from airflow_provider_bm.idempotency.record import STATE_KEY
from airflow_provider_bm.idempotency.search import MAX_CAMPAIGNS
from airflow_provider_bm.idempotency.timing import Timing
from airflow_provider_bm.sandbox.__main__ import parser as sandbox_parser
from airflow_provider_bm.sandbox.store import MAX_AT_ONCE
from airflow_provider_bm.waiting.wait import TOLERATED_FAILURES
from tests.support.run_dag import load_dag
from tools.airflow_env import is_airflow_2

#: Only on Airflow 3.
EVENT_TRIGGER = "BMCampaignEventTrigger"
ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted(
    page
    for page in (ROOT / "docs").rglob("*.md")
    if not {"_build", "generated"} & set(page.relative_to(ROOT).parts)
)
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
#: Values that quoted messages contain where the source has a placeholder, besides ….
FILLED_IN = re.compile(
    r"…|(?<=[a-z)]): |\bHTTP \d+|\b(?:GET|POST|PUT|PATCH)\b|\b2000\b"
    r"|^(?:Connection|Token|Service)(?= (?:failed|not found))|\((?:token|service|status stopped)\b"
)


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(language: str) -> list[Any]:
    """The code blocks of all pages."""
    found = []
    for page in PAGE_NAMES:
        for number, (name, code) in enumerate(FENCE.findall(text_of(page))):
            if name == language:
                found.append(pytest.param(code, id=f"{page}-{number}"))
    return found


def prose(page: str) -> str:
    return FENCE.sub("", text_of(page))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tables(page: str) -> list[list[list[str]]]:
    """The tables of a page, each a list of rows. The first row is the header."""
    found = []
    for lines in re.findall(r"(?:^\|.*\|$\n?)+", prose(page), re.MULTILINE):
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines()]
        found.append([rows[0], *rows[2:]])
    return found


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the only table with this first header."""
    (rows,) = [rows for rows in tables(page) if rows[0][0] == heading]
    return rows[1:]


def classes() -> dict[str, type]:
    """The classes that users import from the four modules."""
    found = {}
    for name in ("operators", "sensors", "triggers", "hooks"):
        module = importlib.import_module(f"airflow_provider_bm.{name}")
        for key in module.__all__:
            if key != EVENT_TRIGGER or not is_airflow_2():
                found[key] = getattr(module, key)
    return found


def arguments(cls: type) -> set[str]:
    """Arguments of a class, including those of its bases."""
    return {name for each in cls.__mro__ for name in inspect.signature(each.__init__).parameters} - {"self"}


def skip_what_airflow_2_has_not(code: str) -> None:
    if EVENT_TRIGGER in code and is_airflow_2():
        pytest.skip("Airflow 2 has no event triggers")


@cache
def texts_in_source() -> str:
    """All strings of the package except docstrings, with … in place of each placeholder."""
    found = []
    for path in sorted((ROOT / "airflow_provider_bm").rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found).replace("%s", "…").replace("%r", "…").replace("%d", "…")


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_links_have_a_target(page):
    broken = []
    for target in LINK.findall(prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.is_file() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def test_ten_questions_are_answered_within_two_clicks():
    """One click from the index to the page, and its contents to the section, which has an answer."""
    questions = table("docs/index.md", "Question")
    assert len(questions) == 10
    for question, answer in questions:
        targets = LINK.findall(answer)
        assert question.endswith("?")
        assert targets, question
        for target in targets:
            path, _, anchor = target.partition("#")
            page = ROOT / "docs" / path
            assert not anchor or anchor in anchors(page), target
            assert anchor or "**What you need to know**" in page.read_text(), (
                f"{target} does not answer at once"
            )


@pytest.mark.parametrize("page", [name for name in PAGE_NAMES if len(text_of(name).split()) > 600])
def test_long_pages_begin_with_what_you_need_to_know(page):
    if not page.startswith("docs/") or page in ("docs/index.md", "docs/first-campaign.md"):
        pytest.skip("an overview, or a tutorial")
    begin = text_of(page).split("\n## ")[0]
    summary = re.search(r"^\*\*What you need to know\*\*\n\n((?:- .*\n(?:  .*\n)*)+)", begin, re.MULTILINE)
    assert summary
    assert len(re.findall("^- ", summary[1], re.MULTILINE)) == 3


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_tables_have_headings(page):
    for heading, *_ in tables(page):
        assert all(heading), heading


def test_every_page_is_in_the_index():
    linked = {target.partition("#")[0] for target in LINK.findall(text_of("docs/index.md"))}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= linked
    in_menu = {f"{name}.md" for name in re.findall(r"^([a-z-]+)$", text_of("docs/index.md"), re.MULTILINE)}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= in_menu, (
        "add it to a toctree at the end of docs/index.md"
    )
    decisions = {page.name for page in (ROOT / "docs" / "adr").glob("0*.md")}
    assert decisions == set(LINK.findall(text_of("docs/adr/index.md")))


def test_the_reference_names_every_module_with_public_names():
    """Sphinx reads the names from each module's ``__all__``."""
    listed = set(
        re.findall(r"^   (airflow_provider_bm\.\w+)$", text_of("docs/reference/index.md"), re.MULTILINE)
    )
    packages = {
        f"airflow_provider_bm.{path.parent.name}"
        for path in (ROOT / "airflow_provider_bm").glob("*/__init__.py")
        if "__all__" in path.read_text() and path.parent.name != "testing"
    }
    assert listed == packages | {"airflow_provider_bm.exceptions"}


def test_tests_named_for_each_threat_exist():
    for name in CODE.findall(text_of("docs/threats.md")):
        assert not name.startswith("tests/") or (ROOT / name).is_file(), name


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_pictures_exist(page):
    for path in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", prose(page)):
        assert ((ROOT / page).parent / path).is_file(), path
    assert "![](" not in text_of(page), "a picture needs a description"


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_no_local_paths(page):
    assert not re.findall(
        r"(?<![\w.}/])/(?:home|root|work|tmp|Users|opt|usr|var|mnt|private)\b\S*", text_of(page)
    )
    assert "C:\\" not in text_of(page)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_compiles(code):
    compile(code, "<documentation>", "exec")


@pytest.mark.parametrize("code", blocks("python"))
def test_python_uses_existing_names_and_arguments(code):
    """Imported names and keyword arguments exist."""
    skip_what_airflow_2_has_not(code)
    known: dict[str, Any] = classes()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow_provider_bm"):
            module = importlib.import_module(node.module)
            assert not [alias.name for alias in node.names if not hasattr(module, alias.name)]
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr == "partial":
            function = function.value
        if isinstance(function, ast.Name) and function.id in known:
            taken = arguments(known[function.id])
            assert not [word.arg for word in node.keywords if word.arg and word.arg not in taken]


@pytest.mark.parametrize("code", [each for each in blocks("python") if "with DAG(" in each.values[0]])
def test_dags_parse(code, tmp_path):
    skip_what_airflow_2_has_not(code)
    file = tmp_path / "documented.py"
    file.write_text(code)
    (dag_id,) = re.findall(r'with DAG\(\s*"(\w+)"', code)
    assert load_dag(file, dag_id).tasks


@pytest.mark.parametrize(
    "code",
    [
        each
        for each in blocks("python")
        if re.search(r"^(query =|with Sandbox\()", each.values[0], re.MULTILINE)
    ],
)
def test_self_contained_python_runs(code):
    names: dict[str, Any] = {}
    exec(compile(code, "<documentation>", "exec"), names)
    if "query" in names:
        assert names["query"].to_json()


def test_the_query_in_json_is_the_first_one_of_the_builder():
    page = text_of("docs/segmentation.md")
    (query_text,) = [code for language, code in FENCE.findall(page) if language == "json"]
    first = next(code for language, code in FENCE.findall(page) if language == "python")
    names: dict[str, Any] = {}
    exec(compile(first, "<documentation>", "exec"), names)
    assert names["query"].to_dict() == json.loads(query_text)


def test_the_builder_has_every_method_and_condition_named():
    page = text_of("docs/segmentation.md")
    named = {
        word for row in table("docs/segmentation.md", "Start") for word in CODE.findall(" ".join(row[:2]))
    }
    query = campaigns.SegmentationQuery
    public = {name for name in vars(query) if re.match(r"(where|and_|or_)", name)}
    assert named == public
    (conditions,) = re.findall(r"The conditions are `([^`]+)`", page)
    assert set(conditions.split()) == set(CONDITIONS)


def test_the_table_of_classes():
    rows = {CODE.findall(row[0])[0]: row for row in table("README.md", "Class")}
    known = classes()
    public = {*operators.__all__, "BMCampaignSensor", "BMCampaignTrigger", EVENT_TRIGGER, "BMHook"}
    assert set(rows) == public
    for name, row in rows.items():
        wanted = {word for word in CODE.findall(row[2]) if not word.startswith('"')}
        assert wanted
        if name == EVENT_TRIGGER and is_airflow_2():
            continue
        assert wanted <= arguments(known[name]), name


@pytest.mark.parametrize("page", ["README.md", "docs/templating.md"])
def test_arguments_of_sending_and_waiting_exist(page):
    words = {
        "wait_for_completion",
        "deferrable",
        "poke_interval",
        "timeout",
        "stop_on_kill",
        "deduplicate",
        "staged",
    }
    assert words <= set(CODE.findall(prose(page)))
    for name in ("BMCreateCampaignOperator", "BMCloneCampaignOperator"):
        assert words <= arguments(getattr(operators, name))


def test_exactly_the_known_extras_are_documented():
    described = [CODE.findall(row[0])[0] for row in table("docs/connection.md", "Extra")]
    assert sorted(described) == sorted(EXTRAS)
    named = re.findall(r"extras\s+((?:`\w+`[,and\s]*)+)", text_of("CHANGELOG.md"))
    assert set(CODE.findall(named[0])) == set(EXTRAS)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_target_exists():
    for page in PAGE_NAMES:
        in_code = [*CODE.findall(prose(page)), *(code for _, code in FENCE.findall(text_of(page)))]
        named = {name for code in in_code for name in re.findall(r"\bmake ([a-z-]+)", code)}
        assert named <= make_targets(), page


def test_workflows_and_hooks_only_call_make_targets():
    paths = [*(ROOT / ".github/workflows").glob("*.yml"), ROOT / ".pre-commit-config.yaml"]
    commands = []
    for path in paths:
        content = yaml.safe_load(path.read_text())
        commands += [hook["entry"] for repo in content.get("repos", ()) for hook in repo["hooks"]]
        for job in content.get("jobs", {}).values():
            targets = [row["target"] for row in job.get("strategy", {}).get("matrix", {}).get("include", [])]
            for command in (step["run"] for step in job["steps"] if "run" in step):
                commands += [command.replace("${{ matrix.target }}", target) for target in targets or [""]]
    assert len(commands) > 10
    for command in commands:
        make, target, *_ = command.split()
        assert make == "make", command
        assert target in make_targets(), command
        assert not re.search("[;&|\n]", command), command


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_quoted_messages_are_in_the_source(page):
    """In tables of messages, each part between placeholders is part of a string in the source."""
    messages = [
        message
        for rows in tables(page)
        if rows[0][0] == "Message"
        for row in rows[1:]
        for message in CODE.findall(row[0])
    ]
    assert bool(messages) == (page in ("docs/connection.md", "docs/errors.md", "docs/templating.md"))
    pieces = {piece.strip(" .,:;()") for message in messages for piece in FILLED_IN.split(message)}
    assert not [piece for piece in pieces if piece not in texts_in_source()]


def test_the_table_of_guards():
    """Each guard's arguments exist, and its error is in the source."""
    known = set().union(*(arguments(cls) for cls in classes().values()))
    known |= {field.name for each in (BMSettings, campaigns.SendWindow) for field in fields(each)}
    source = texts_in_source()
    for _, where, _, error, allow in table("docs/sending-safely.md", "Guard"):
        for code in CODE.findall(f"{where} {allow}"):
            name = code.partition("=")[0]
            assert name in known or not name.isidentifier(), code
        assert all(quoted in source for quoted in CODE.findall(error)), error


def test_error_tree_is_complete():
    (tree,) = [code for _, code in FENCE.findall(text_of("docs/errors.md")) if code.startswith("BMError\n")]
    named = set(re.findall(r"\bBM\w+Error\b", tree))
    assert named == {name for name in vars(exceptions) if re.fullmatch(r"BM\w*Error", name)} - {"BMError"}


def test_every_assumption_is_named():
    named = {CODE.findall(row[0])[0] for row in table("docs/api-assumptions.md", "Name")}
    assert named == {name for name in vars(assumptions) if name.isupper()}
    for row in table("docs/api-assumptions.md", "What is assumed"):
        path = CODE.findall(row[1])[0]
        assert (ROOT / "airflow_provider_bm" / path).is_file(), path
        for name in CODE.findall(row[1])[1:]:
            assert name in (ROOT / "airflow_provider_bm" / path).read_text(), name


def test_every_dependency_is_justified():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run, develop = [rows[1:] for rows in tables("docs/dependencies.md") if rows[0][0] == "Package"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[<>=\[ ]", each)[0] for each in requirements}

    assert {CODE.findall(row[0])[0] for row in run} == names(pyproject["project"]["dependencies"])
    assert {CODE.findall(row[0])[0] for row in develop} == names(pyproject["dependency-groups"]["dev"])
    assert set(pyproject["project"]["optional-dependencies"]) == {"sandbox"}


def test_names_of_the_sandbox_exist():
    page = "docs/sandbox.md"
    options = {option for action in sandbox_parser()._actions for option in action.option_strings}
    assert {word for row in table(page, "Option") for word in CODE.findall(row[0])} == options - {
        "-h",
        "--help",
    }
    with sandbox.Sandbox() as running:
        control = set()
        for row in table(page, "Python"):
            for code in CODE.findall(row[0]):
                assert hasattr(running, code.partition("(")[0]), code
            control |= {words.split()[-1] for words in CODE.findall(row[1]) if " " in words}
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{running.url}/_sandbox/")
        message = error.value.read().decode()
    assert not [name for name in control if name not in message]
    assert f"more than {MAX_AT_ONCE:,} executions at once" in text_of(page)


def test_documented_limits_of_sending_once():
    page = text_of("docs/sending-safely.md")
    url = "https://example.com"
    client = BMClient(BMSettings(api_url=url, token_url=url, client_id="c", client_secret="not a secret"))
    window = client.settings.in_flight_window.total_seconds()
    assert f"{window:.0f} seconds" in page
    lease = 2 * (window + Timing().created_dt_resolution)
    assert f"after {lease:.0f} seconds" in " ".join(page.split())
    for row in table("docs/sending-safely.md", "`timeout`"):
        timeout, deadline, in_flight = (int(re.findall(r"\d+", cell)[0]) for cell in row)
        settings = replace(client.settings, timeout=float(timeout))
        assert (deadline, in_flight) == (
            settings.exchange_deadline,
            settings.in_flight_window.total_seconds(),
        )
    assert f"More than {MAX_CAMPAIGNS:,} campaigns" in page
    assert f"`{STATE_KEY}`" in page
    assert name_with_key("Storm warning", "7241509342138156") in page
    assert timedelta(minutes=10) == CREATED_DT_TOLERANCE
    assert TOLERATED_FAILURES == 5
