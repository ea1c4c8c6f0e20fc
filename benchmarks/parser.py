"""A process that parses one DAG file, as Airflow's DAG processor does: through DagBag."""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path

from benchmarks.child import answer_all


def parse(file: str, tasks: int) -> dict[str, float]:
    """Parse the file twice, after a file with a plain task, so that Airflow itself is loaded."""
    from airflow.dag_processing.dagbag import DagBag

    def seconds(path: str, expected: int) -> float:
        gc.collect()
        # CPU time, so that other processes of the machine do not count.
        began = time.process_time()
        bag = DagBag(dag_folder=path)
        took = time.process_time() - began
        assert not bag.import_errors, bag.import_errors
        (dag,) = bag.dags.values()
        assert len(dag.tasks) == expected
        return took

    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(
            "from airflow.sdk import DAG, BaseOperator\nwith DAG('bare'):\n    BaseOperator(task_id='bare')\n"
        )
        seconds(str(bare), 1)
    return {"first": seconds(file, tasks), "again": seconds(file, tasks)}


if __name__ == "__main__":
    answer_all({"parse": parse})
