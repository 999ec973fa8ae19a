"""The SQLite database of a data folder: instances, histories, messages, activities, entities, receipts."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from devhost.durable.history import Event
from devhost.durable.instance import Instance, Progress

_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY, execution TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
    input TEXT NOT NULL, status TEXT NOT NULL,
    created REAL NOT NULL, updated REAL NOT NULL, output TEXT, custom_status TEXT,
    parent TEXT, progress TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS instances_created ON instances (created, id);
CREATE TABLE IF NOT EXISTS history (
    id TEXT NOT NULL, episode INTEGER NOT NULL, events TEXT NOT NULL,
    PRIMARY KEY (id, episode)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, execution TEXT, due REAL NOT NULL,
    event TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS inbox_id ON inbox (id, due, seq);
CREATE TABLE IF NOT EXISTS activities (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, execution TEXT NOT NULL, task INTEGER NOT NULL,
    name TEXT NOT NULL, input TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entities (id TEXT PRIMARY KEY, state TEXT);
CREATE TABLE IF NOT EXISTS receipts (
    function TEXT NOT NULL, blob TEXT NOT NULL, etag TEXT NOT NULL, attempts INTEGER NOT NULL,
    done INTEGER NOT NULL, PRIMARY KEY (function, blob)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS timers (
    function TEXT PRIMARY KEY, schedule TEXT NOT NULL, last REAL, next REAL NOT NULL);
"""


@dataclass(frozen=True)
class Message:
    """An event on its way to an instance or entity; `due` 0 means at once."""

    target: str
    event: Event
    execution: str | None = None
    due: float = 0.0
    seq: int = -1


@dataclass(frozen=True)
class Activity:
    """A queued activity; `input` is JSON text."""

    instance: str
    execution: str
    task: int
    name: str
    input: str
    seq: int = -1


class Store:
    """All access to the database; one connection, used from the host's loop only."""

    def __init__(self, path: Path, full_sync: bool) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        # NORMAL survives the kill of a process; FULL also a power cut, for one fsync a transaction.
        self._db.execute(f"PRAGMA synchronous={'FULL' if full_sync else 'NORMAL'}")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; not nested."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def execute(self, sql: str, *parameters: Any) -> list[Any]:
        """One statement; the rows it gives. For the tables of the triggers."""
        return self._db.execute(sql, parameters).fetchall()

    # instances

    def instance(self, instance_id: str) -> Instance | None:
        """One instance, None when there is none."""
        row = self._db.execute("SELECT * FROM instances WHERE id = ?", (instance_id,)).fetchone()
        return _instance(row) if row else None

    def save(self, instance: Instance) -> None:
        """Inserts or replaces the row of an instance."""
        values = (
            instance.id,
            instance.execution,
            instance.name,
            instance.version,
            instance.input,
            instance.status,
            instance.created,
            instance.updated,
            instance.output,
            instance.custom_status,
            json.dumps(instance.parent) if instance.parent else None,
            json.dumps(asdict(instance.progress), separators=(",", ":")),
        )
        self._db.execute(f"INSERT OR REPLACE INTO instances VALUES ({','.join('?' * len(values))})", values)

    def select(self, where: str, parameters: list[Any], limit: int = -1) -> list[Instance]:
        """Instances by condition, oldest first."""
        sql = f"SELECT * FROM instances WHERE {where} ORDER BY created, id LIMIT ?"
        return [_instance(row) for row in self._db.execute(sql, [*parameters, limit])]

    def delete(self, instance_id: str) -> None:
        """Removes an instance with its history and messages; activities that run on find nobody."""
        for table in ("instances", "history", "inbox"):
            self._db.execute(f"DELETE FROM {table} WHERE id = ?", (instance_id,))

    # history

    def history(self, instance_id: str) -> list[list[Event]]:
        """The events of each episode of the present execution."""
        sql = "SELECT events FROM history WHERE id = ? ORDER BY episode"
        return [json.loads(row[0]) for row in self._db.execute(sql, (instance_id,))]

    def append(self, instance_id: str, episode: int, events: list[Event]) -> None:
        """Adds an episode."""
        text = json.dumps(events, separators=(",", ":"))
        self._db.execute("INSERT INTO history VALUES (?, ?, ?)", (instance_id, episode, text))

    def clear_history(self, instance_id: str) -> None:
        """Removes all episodes."""
        self._db.execute("DELETE FROM history WHERE id = ?", (instance_id,))

    # messages

    def post(self, message: Message) -> None:
        """Queues a message."""
        self._db.execute(
            "INSERT INTO inbox (id, execution, due, event) VALUES (?, ?, ?, ?)",
            (
                message.target,
                message.execution,
                message.due,
                json.dumps(message.event, separators=(",", ":")),
            ),
        )

    def due_messages(self, target: str, now: float | None = None) -> list[Message]:
        """Messages that are due, in the order in which they take effect."""
        sql = "SELECT seq, execution, due, event FROM inbox WHERE id = ? AND due <= ? ORDER BY due, seq"
        rows = self._db.execute(sql, (target, time.time() if now is None else now))
        return [Message(target, json.loads(text), execution, due, seq) for seq, execution, due, text in rows]

    def all_messages(self, target: str) -> list[Message]:
        """Messages of a target, due or not."""
        return self.due_messages(target, float("inf"))

    def remove(self, messages: Iterable[int]) -> None:
        """Removes messages by number."""
        self._db.executemany("DELETE FROM inbox WHERE seq = ?", [(seq,) for seq in messages])

    def clear_messages(self, target: str) -> None:
        """Removes all messages of a target."""
        self._db.execute("DELETE FROM inbox WHERE id = ?", (target,))

    def waiting(self) -> list[tuple[str, float]]:
        """Every target with messages and when its first one is due."""
        return self._db.execute("SELECT id, MIN(due) FROM inbox GROUP BY id").fetchall()

    # activities

    def queue(self, activity: Activity) -> Activity:
        """Queues an activity; returns it with its number."""
        cursor = self._db.execute(
            "INSERT INTO activities (id, execution, task, name, input) VALUES (?, ?, ?, ?, ?)",
            (activity.instance, activity.execution, activity.task, activity.name, activity.input),
        )
        assert cursor.lastrowid is not None
        return replace(activity, seq=cursor.lastrowid)

    def queued(self) -> list[Activity]:
        """All activities that have not ended."""
        sql = "SELECT id, execution, task, name, input, seq FROM activities ORDER BY seq"
        return [Activity(*row) for row in self._db.execute(sql)]

    def unqueue(self, seq: int) -> None:
        """Removes an activity that ended."""
        self._db.execute("DELETE FROM activities WHERE seq = ?", (seq,))

    # entities

    def entity(self, entity_id: str) -> tuple[bool, str | None]:
        """Whether the entity exists, and its state as JSON text."""
        row = self._db.execute("SELECT state FROM entities WHERE id = ?", (entity_id,)).fetchone()
        return (True, row[0]) if row else (False, None)

    def save_entity(self, entity_id: str, exists: bool, state: str | None) -> None:
        """Writes or removes the state of an entity."""
        if exists:
            self._db.execute("INSERT OR REPLACE INTO entities VALUES (?, ?)", (entity_id, state))
        else:
            self._db.execute("DELETE FROM entities WHERE id = ?", (entity_id,))


def _instance(row: tuple[Any, ...]) -> Instance:
    instance = Instance(*row[:-2])
    instance.parent = json.loads(row[-2]) if row[-2] else None
    instance.progress = Progress(**json.loads(row[-1]))
    return instance
