"""Compiling a drawing: check it here, build it in a warm child without TensorFlow, remember the answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from core.base.errors import AppError, BadRequest, Unavailable
from core.base.settings import MIB, Settings, settings
from core.graphs.answers import Answer, Answers
from core.graphs.checked import CheckedGraph
from core.graphs.schema import check_graph
from core.keras_worker.errors import ChildDied, ChildFailed, ChildOutOfMemory, ChildTimedOut, Refused
from core.keras_worker.pool import ChildPool, PoolOptions, default_start

log = logging.getLogger(__name__)

_BACKEND = "numpy"
# Checking more nodes than this takes longer than other requests should wait for the event loop.
_NODES_CHECKED_INLINE = 100


class Compiler:
    """Compiles for one event loop: a few warm children, and the latest answers by the graph's content."""

    def __init__(self, pool: ChildPool, chosen: Settings) -> None:
        self.pool = pool
        self._settings = chosen
        self._children = asyncio.Semaphore(chosen.compile_children)
        self._free = [f"compile-{number}" for number in range(chosen.compile_children)]
        self._answers = Answers(chosen.compile_cache_entries)
        self._renewals: set[asyncio.Task[None]] = set()
        self._prepared = False

    async def compile(self, nodes: Any, edges: Any) -> Answer:
        """Summary, parameter count and shapes of a drawing. Raises BadRequest, TooLarge, Unavailable."""
        key = content_key(nodes, edges)
        known = self._answers.find(key)
        if known is None:
            known = await self._answer(nodes, edges)
            if not isinstance(known, Unavailable):
                self._answers.keep(key, known)
        return _given(known)

    async def compile_request(self, body: bytes, read: Callable[[], tuple[Any, Any]]) -> Answer:
        """As `compile`; `read` gives nodes and edges of the body, and is not asked for a body seen before."""
        request = hashlib.sha256(body).digest()
        content = self._answers.content_of(request)
        known = self._answers.find(content) if content is not None else None
        if known is not None:
            return _given(known)
        nodes, edges = read()
        self._answers.keep_content(request, content_key(nodes, edges))
        return await self.compile(nodes, edges)

    async def parameter_count(self, nodes: Any, edges: Any) -> int:
        """Parameters of a drawing's network; 0 where that cannot be told here, which its training will explain."""
        try:
            return (await self.compile(nodes, edges))["parameter_count"]
        except AppError:
            return 0

    async def facts(self, nodes: Any, edges: Any, name: str) -> tuple[CheckedGraph, Answer]:
        """The checked drawing, and as `compile` with `model_json` and `output_counts` of a model of that name."""
        checked = await self._check(nodes, edges)
        return checked, await self._build(checked, {"config": True, "name": name})

    def prepare(self) -> None:
        """Starts the children in the background, unless that was done before."""
        if not self._prepared:
            self._prepared = True
            self._renew()

    async def warm(self) -> None:
        """Starts the children that the next compiles will take."""
        try:
            await self.pool.warm(_BACKEND)
            for key in [*self._free]:
                async with self.pool.child(_BACKEND, key=key):
                    pass
        except ChildDied:
            log.warning("a child for compiling could not be started; the next compile tries again")

    async def _answer(self, nodes: Any, edges: Any) -> Answer | AppError:
        try:
            return await self._build(await self._check(nodes, edges), {})
        except AppError as error:
            return error

    async def _check(self, nodes: Any, edges: Any) -> CheckedGraph:
        if isinstance(nodes, list) and len(nodes) > _NODES_CHECKED_INLINE:
            return await asyncio.to_thread(check_graph, nodes, edges)
        return check_graph(nodes, edges)

    async def _build(self, checked: CheckedGraph, options: dict[str, Any]) -> Answer:
        """Raises BadRequest where the graph is wrong or too much, Unavailable where no child can be had."""
        limits = {"memory_bytes": self._settings.compile_memory_mb * MIB}
        arguments: dict[str, Any] = {"graph": checked, **options, **limits}
        async with self._children:
            key = self._free.pop()
            try:
                return await self._call(key, arguments)
            except Refused as refused:
                raise BadRequest(refused.problems) from None
            except ChildFailed as failed:
                log.warning("compile failed: %s\n%s", failed, failed.detail)
                raise _refused(f"Keras cannot build this graph: {failed}") from None
            except ChildOutOfMemory:
                raise _refused(
                    "Building this graph needs too much memory; make its layers or shapes smaller."
                ) from None
            except ChildTimedOut:
                seconds = self._settings.compile_seconds
                raise _refused(f"Building this graph takes longer than {seconds} seconds; make it smaller.") from None
            except ChildDied:
                raise _refused("Keras broke down while building this graph; make it smaller or simpler.") from None
            finally:
                self._free.append(key)

    async def _call(self, key: str, arguments: dict[str, Any]) -> Answer:
        """Raises what the child raises. A child that was gone before the call, or died of another cause, gets a
        successor: what one graph does to two children in a row is the graph's doing."""
        for attempt in (1, 2):
            started = False
            try:
                async with self.pool.child(_BACKEND, key=key) as child:
                    started = True
                    return await child.call("compile", arguments, seconds=self._settings.compile_seconds)
            except (ChildOutOfMemory, ChildTimedOut):
                self._renew()
                raise
            except ChildDied:
                if not started:
                    raise Unavailable("The graph could not be compiled now; try again in a moment.") from None
                if attempt == 2:
                    self._renew()
                    raise
        raise AssertionError("unreachable")

    def _renew(self) -> None:
        """Has children ready before they are needed: at first, and when one was lost."""
        task = asyncio.ensure_future(self.warm())
        self._renewals.add(task)
        task.add_done_callback(self._renewals.discard)


_compilers: WeakKeyDictionary[asyncio.AbstractEventLoop, Compiler] = WeakKeyDictionary()


def compiler() -> Compiler:
    """The compiler of the running event loop, made at its first use."""
    loop = asyncio.get_running_loop()
    if loop not in _compilers:
        chosen = settings()
        options = PoolOptions(
            start=default_start() if chosen.child_start == "auto" else chosen.child_start,
            memory_limit_bytes=chosen.compile_memory_mb * MIB,
            idle_seconds=24 * 3600,
            keep=chosen.compile_children,
        )
        _compilers[loop] = Compiler(ChildPool(options), chosen)
    return _compilers[loop]


def _given(answer: Answer | AppError) -> Answer:
    if isinstance(answer, AppError):
        raise answer
    return answer


def _refused(text: str) -> BadRequest:
    return BadRequest({"nodes": [text]})


def content_key(nodes: Any, edges: Any) -> bytes:
    """A hash of what a drawing means; where its nodes stand on the canvas is no part of it."""
    drawn = [
        {key: value for key, value in node.items() if key != "position"} if isinstance(node, dict) else node
        for node in (nodes if isinstance(nodes, list) else [nodes])
    ]
    text = json.dumps([drawn, edges], separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
