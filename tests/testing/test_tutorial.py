"""The DAG and the tests of docs/testing.md work as described, against a real Airflow."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_tutorial_of_the_docs(project, run_pytest_here):
    dag, *tests = [code for language, code in BLOCKS if language == "python"]
    (output,) = [code for language, code in BLOCKS if language == "text"]
    (project / "dags").mkdir()
    (project / "dags" / "storm_warning.py").write_text(dag)
    (project / "test_storm_warning.py").write_text("".join(tests))
    failing = tests[0].replace('to="+41790000001"', 'to="+41790000002"')
    (project / "test_that_fails.py").write_text(failing)

    text = run_pytest_here("--show-capture=no")

    assert re.search("1 failed, 5 passed", text), text
    shown = "\n".join(line.removeprefix("E").strip() for line in text.splitlines())
    for line in output.splitlines():
        pattern = ".+".join(map(re.escape, line.strip().split("…")))
        assert re.search(f"^{pattern}$", shown, re.MULTILINE), f"{line}\n\nis not in:\n{text}"
    assert "def assert_sent" not in text
