"""The state file: what a sandbox holds, in one sqlite file, so that it outlives the process.

Each thing is one row, in JSON, written anew when it changes. A commit is on the disk when it returns
(write-ahead log, ``synchronous=FULL``), so that neither a kill nor a power failure takes back what was
answered. The file is held exclusively: two sandboxes would overwrite each other.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

#: Says in the file's header whose it is ("BMSB"), and how its rows are to be read.
APPLICATION_ID: Final = 0x424D5342
VERSION: Final = 1

Row = dict[str, Any]
Key = tuple[str, str]


class StateError(ValueError):
    """A state file that cannot be used."""


class StateFile:
    """A file of rows, each with a kind and an id.

    :param path: made if it is not there, then readable by its owner only.
    :raises StateError: if it is no state file, one of another version, or in use.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open it and hold it."""
        # Absolute: to sqlite, a mere ":memory:" is no file.
        self.path = Path(path).absolute()
        self.closed = False
        try:
            # Only made here, never opened: closing a second handle would end sqlite's lock on the first.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            raise StateError(f"cannot make the state file {self.path}: {error.strerror}") from None
        try:
            self._db = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise StateError(f"cannot open the state file {self.path}: {error}") from None
        try:
            self._prepare()
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" in str(error):
                raise StateError(f"the state file {self.path} is in use by another sandbox") from None
            problem = error if os.access(self.path, os.W_OK) else "it is read-only"
            raise StateError(f"cannot use the state file {self.path}: {problem}") from None
        except sqlite3.DatabaseError:
            self._db.close()
            raise StateError(f"{self.path} is no state file of a sandbox") from None
        except StateError:
            self._db.close()
            raise

    def _prepare(self) -> None:
        # Before the first access: sqlite then takes the lock and keeps it.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("BEGIN EXCLUSIVE")
        (owner,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if owner != APPLICATION_ID and (owner or version or tables):
            raise StateError(f"{self.path} is no state file of a sandbox, but another program's")
        if owner == APPLICATION_ID and version != VERSION:
            raise StateError(
                f"the state file {self.path} has format {version}, and this sandbox knows format {VERSION}: "
                "use the version of the package that wrote it, or another file"
            )
        if not owner:
            self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version={VERSION}")
            self._db.execute(
                "CREATE TABLE thing (kind TEXT, id TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, id)) "
                "WITHOUT ROWID"
            )
        self._db.execute("COMMIT")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")

    def rows(self, kind: str) -> Iterator[tuple[str, Row]]:
        """Give all rows of a kind, in the order of their ids."""
        query = "SELECT id, body FROM thing WHERE kind = ? ORDER BY id"
        try:
            for name, body in self._db.execute(query, (kind,)):
                try:
                    row = json.loads(body)
                except ValueError:
                    raise StateError(f"{kind} {name} in the state file {self.path} is damaged") from None
                yield name, row
        except sqlite3.Error as error:
            raise StateError(f"the state file {self.path} is damaged: {error}") from None

    def write(self, rows: Mapping[Key, Row | None], *, anew: bool = False) -> None:
        """Write rows and remove those that are None, all or nothing.

        :param anew: remove all others, too.
        :raises OSError: if it cannot be written, because the disk is full for example.
        :raises Exception: if it never can be: a row is not one that sqlite or JSON has.
        """
        try:
            self._write(rows, anew=anew)
        except (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
            raise
        except sqlite3.Error as error:
            raise OSError(f"cannot write the state file {self.path}: {error}") from error

    def _write(self, rows: Mapping[Key, Row | None], *, anew: bool) -> None:
        self._db.execute("BEGIN")
        try:
            if anew:
                self._db.execute("DELETE FROM thing")
            self._db.executemany(
                "DELETE FROM thing WHERE kind = ? AND id = ?",
                [key for key, row in rows.items() if row is None],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO thing VALUES (?, ?, ?)",
                [
                    (*key, json.dumps(row, separators=(",", ":")))
                    for key, row in rows.items()
                    if row is not None
                ],
            )
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file."""
        self.closed = True
        self._db.close()
