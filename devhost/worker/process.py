"""Entry of the worker process: index the app, connect to the host, serve invocations until told to stop.

Standard input is the life line: its first line is the configuration, its end means that the host is gone."""

import asyncio
import json
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from devhost.link import FrameProtocol, Header, Link, encode
from devhost.worker.index import IndexFailed, index_app
from devhost.worker.invocation import Invocations
from devhost.worker.logs import write_logs
from devhost.worker.replay import speed_up_replay


def main() -> None:
    """Runs the worker; returns when the host says stop."""
    config: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_host, daemon=True).start()
    sys.path.insert(0, config["app"])
    write_logs(config["log_levels"])
    greeting: Header
    functions: dict[str, Any] = {}
    try:
        index = index_app(config["app"])
        speed_up_replay()
        functions = index.callables
        greeting = {"op": "indexed", "functions": index.descriptions}
    except IndexFailed as failure:
        greeting = {"op": "failed", "message": str(failure)}
    asyncio.run(_serve(config, greeting, functions))


def _end_with_host() -> None:
    # read() returns when the host's end of the pipe is closed, however the host came to its end.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


async def _serve(config: dict[str, Any], greeting: Header, functions: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    pool = ThreadPoolExecutor(_thread_count(), thread_name_prefix="function")
    links: list[Link] = []
    invocations = Invocations(config, functions, pool, lambda header, body: links[0].send(header, body))

    def received(header: Header, body: bytes | bytearray) -> None:
        if header["op"] == "stop":
            stopped.set()
        else:
            invocations.start(header, body)

    connections: list[FrameProtocol] = []
    for lane in ("light", "heavy"):
        sock = socket.create_connection(("127.0.0.1", config["port"]))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _, protocol = await loop.create_connection(lambda: FrameProtocol(received, stopped.set), sock=sock)
        protocol.write(encode({"op": "hello", "lane": lane, "token": config["token"]}))
        connections.append(protocol)
    links.append(Link(*connections))
    links[0].send(greeting)
    await stopped.wait()
    await invocations.drain(config["drain_seconds"])
    # What libraries leave open is no error of an app that is being stopped.
    loop.set_exception_handler(lambda *_: None)
    # Threads that still run user code would hold up a normal exit for as long as they like.
    pool.shutdown(wait=False, cancel_futures=True)
    links[0].close()


def _thread_count() -> int | None:
    setting = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return min(max(int(setting), 1), 32) if setting.isdigit() else None
