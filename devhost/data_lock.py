"""The lock of a data folder: one host at a time, released by the system however the host ends."""

import sqlite3
from pathlib import Path

from devhost.errors import HostError


class DataLock:
    """Held while it lives. An exclusive SQLite transaction is a file lock on every system."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "host.lock", isolation_level=None, timeout=0)
        try:
            self._db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._db.close()
            raise HostError(f"another devhost already uses the data folder {folder}; give --data another.") from error

    def release(self) -> None:
        """Gives the folder free."""
        self._db.close()
