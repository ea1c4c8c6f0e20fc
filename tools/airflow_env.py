"""An isolated Airflow: its own home, SQLite, no examples, no telemetry.

Used by `make demo`, `make airflow` and the tests. Works for Airflow 2.11 and 3.x; imports no Airflow.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1,localhost,::1"


def airflow_version() -> str:
    """Version of the installed Airflow."""
    return importlib.metadata.version("apache-airflow")


def is_airflow_2() -> bool:
    return airflow_version().startswith("2.")


def environment(
    home: Path, *, dags_folder: Path | None = None, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of an isolated Airflow: `base`, without the settings of another Airflow.

    :param home: AIRFLOW_HOME; the database, the logs and airflow.cfg go there
    :param dags_folder: default: an empty one in `home`
    :param base: default: this process's environment
    """
    inherited = os.environ if base is None else base
    env = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW", "__AIRFLOW"))
    }
    home = home.resolve()
    settings: dict[str, str | Path] = {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__DAGS_FOLDER": (dags_folder or home / "dags").resolve(),
        "AIRFLOW__CORE__PLUGINS_FOLDER": home / "plugins",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "utc",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__CORE__PARALLELISM": "4",  # with more, SQLite reports "database is locked"
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor" if is_airflow_2() else "LocalExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": home / "logs",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        # No telemetry.
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "SCARF_ANALYTICS": "false",
        "SCARF_NO_ANALYTICS": "true",
        "DO_NOT_TRACK": "1",
        # Requests to loopback use no proxy.
        "NO_PROXY": ",".join(filter(None, (inherited.get("NO_PROXY"), LOOPBACK))),
        "no_proxy": ",".join(filter(None, (inherited.get("no_proxy"), LOOPBACK))),
        # Hide warnings of Airflow and its libraries, which users cannot act on.
        "PYTHONWARNINGS": inherited.get("PYTHONWARNINGS") or "ignore::DeprecationWarning",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    }
    return env | {name: str(value) for name, value in settings.items()}


@dataclass
class AirflowHome:
    """An isolated Airflow home. :meth:`prepare` creates it with its database.

    :param path: the folder (default: `.airflow/<version>` in the repository)
    :param dags_folder: default: `dags_examples`
    """

    path: Path = field(default_factory=lambda: ROOT / ".airflow" / airflow_version())
    dags_folder: Path = ROOT / "dags_examples"
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """Environment for every process that uses this home."""
        return environment(self.path, dags_folder=self.dags_folder) | self.extra

    @property
    def database(self) -> Path:
        return self.path / "airflow.db"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def prepare(self) -> None:
        """Create the folders, and the database if it does not exist yet."""
        self.logs.mkdir(parents=True, exist_ok=True)
        stamp = self.path / ".migrated"
        if self.database.exists() and stamp.exists() and stamp.read_text() == airflow_version():
            return
        self.airflow("db", "migrate", log=self.logs / "db-migrate.log")
        stamp.write_text(airflow_version())

    def airflow(self, *arguments: str, log: Path | None = None, timeout: float = 300) -> str:
        """Run one `airflow` command; write its output to `log`, or return it."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.env,
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if log else subprocess.PIPE,
            text=True,
            timeout=timeout,
            check=False,
        )
        if log:
            log.write_text(done.stdout)
        if done.returncode:
            output = (done.stdout + (done.stderr or "")).strip()
            raise RuntimeError(f"airflow {' '.join(arguments)} failed ({done.returncode}):\n{output[-4000:]}")
        return done.stdout
