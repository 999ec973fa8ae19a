"""A compiler that hypothesis can call: an event loop of its own in a thread, and what an answer must look like."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from core.base.errors import AppError, BadRequest, TooLarge
from core.base.http import dump_json
from core.base.settings import Settings
from core.graphs.compile import Compiler
from core.keras_worker.pool import ChildPool, PoolOptions


class Compiling:
    """Answers in the calling thread what the API would answer: a status and a body."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        chosen = Settings(compile_seconds=5, compile_memory_mb=512, compile_cache_entries=1)

        async def make() -> Compiler:
            return Compiler(ChildPool(PoolOptions(idle_seconds=3600, memory_limit_bytes=2**30)), chosen)

        self.compiler: Compiler = self._run(make())

    def answer(self, nodes: Any, edges: Any) -> tuple[int, Any]:
        """The status and body of compiling; any other error than the app's own is raised."""
        try:
            return 200, self._run(self.compiler.compile(nodes, edges))
        except AppError as error:
            return error.status, error.body

    def close(self) -> None:
        self._run(self.compiler.pool.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def assert_documented(status: int, body: Any) -> None:
    """200 with the four fields, 400 with sentences under the keys of the contract, or 413."""
    dump_json(body)
    if status == 200:
        assert set(body) == {"summary", "parameter_count", "input_shape", "output_shape"}
        rows = [line for line in body["summary"].splitlines() if "│" in line]
        assert all(line.count("│") >= 4 for line in rows)
        return
    assert status in (BadRequest.status, TooLarge.status), (status, body)
    if status == BadRequest.status:
        assert set(body) <= {"nodes", "edges", "graph", "detail", "model"}
        assert _sentences(body)


def _sentences(value: Any) -> bool:
    """Whether all leaves are lists of readable sentences without traces or server paths."""
    if isinstance(value, dict):
        return bool(value) and all(_sentences(item) for item in value.values())
    if isinstance(value, list):
        return bool(value) and all(_sentences(item) for item in value)
    return isinstance(value, str) and len(value) > 5 and "Traceback" not in value and "site-packages" not in value
