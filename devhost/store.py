"""The SQLite database of a data folder: JSON values by kind and key, and by number where a key has several."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    kind TEXT NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (kind, key, number))
"""


class Store:
    """One connection, used from the host's loop only."""

    def __init__(self, path: Path, full_sync: bool) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        # NORMAL survives the kill of a process; FULL also a power cut, for one fsync a transaction.
        self._db.execute(f"PRAGMA synchronous={'FULL' if full_sync else 'NORMAL'}")
        self._db.execute(_SCHEMA)
        self.close = self._db.close

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one inside another belongs to it."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def put(self, kind: str, key: str, value: Any, number: int = 0) -> None:
        """Writes a value."""
        text = json.dumps(value, separators=(",", ":"))
        self._db.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", (kind, key, number, text))

    def get(self, kind: str, key: str) -> Any:
        """The value with number 0, None when there is none."""
        rows = self.values(kind, key)
        return rows[0] if rows else None

    def values(self, kind: str, key: str) -> list[Any]:
        """All values of a key, by number."""
        sql = "SELECT value FROM rows WHERE kind = ? AND key = ? ORDER BY number"
        return [json.loads(value) for (value,) in self._db.execute(sql, (kind, key))]

    def all(self, kind: str) -> list[tuple[str, int, Any]]:
        """Key, number and value of everything of a kind, by number."""
        sql = "SELECT key, number, value FROM rows WHERE kind = ? ORDER BY number"
        return [(key, number, json.loads(value)) for key, number, value in self._db.execute(sql, (kind,))]

    def delete(self, kind: str, key: str, number: int | None = None) -> None:
        """Removes one value, or all of a key."""
        sql = "DELETE FROM rows WHERE kind = ? AND key = ? AND number = coalesce(?, number)"
        self._db.execute(sql, (kind, key, number))
