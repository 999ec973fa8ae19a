"""The host: puts worker, HTTP front, durable engine and triggers together, and takes them apart in order."""

import asyncio
import shutil
import signal
import socket
import sqlite3
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from watchfiles import PythonFilter, awatch

from devhost.access import Cors, Keys
from devhost.background import Background
from devhost.durable.api import DurableApi
from devhost.durable.engine import Engine
from devhost.durable.views import Links
from devhost.errors import HostError
from devhost.functions import Functions
from devhost.http_front import Endpoint, HttpFront
from devhost.routes import Route
from devhost.settings import Settings
from devhost.store import Store
from devhost.supervisor import Supervisor
from devhost.triggers.blobs import BlobTriggers
from devhost.triggers.timers import Timers

_DEFAULT_PORT = 7071


async def serve(options: Namespace) -> None:
    """Runs a host until SIGTERM or SIGINT; raises HostError when it cannot."""
    settings = Settings(options.app, options.settings)
    port = int(settings.host.get("LocalHttpPort", _DEFAULT_PORT)) if options.port is None else options.port
    with _locked(options.data), closing(_bind(port)) as sock:
        running = asyncio.ensure_future(Host(options, settings, sock).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                asyncio.get_running_loop().add_signal_handler(number, running.cancel)
            except NotImplementedError:
                signal.signal(number, lambda *_: running.get_loop().call_soon_threadsafe(running.cancel))
        await asyncio.wait([running])
        if not running.cancelled():
            await running


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    """One host at a time on a data folder: an exclusive SQLite transaction is a file lock on every system, which
    is released however the host ends."""
    data.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(data / "host.lock", isolation_level=None, timeout=0)) as database:
        try:
            database.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise HostError(f"another devhost already uses the data folder {data}; give --data another.") from error
        yield


def _bind(port: int) -> socket.socket:
    sock = socket.socket()
    if sys.platform != "win32":
        # On Windows this option would let two hosts share the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        # Claims the port at once; connections are accepted when the app is indexed.
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise HostError(f"port {port} is taken; choose another with --port.") from error
    return sock


class Host:
    """One host on one data folder and one port; made and run inside a loop."""

    def __init__(self, options: Namespace, settings: Settings, sock: socket.socket) -> None:
        self._options, self._settings, self._socket = options, settings, sock
        port = sock.getsockname()[1]
        self._origin = f"http://127.0.0.1:{port}"
        settings.environment |= {
            "AZURE_FUNCTIONS_ENVIRONMENT": settings.get("AZURE_FUNCTIONS_ENVIRONMENT") or "Development",
            "AzureWebJobsScriptRoot": str(options.app),
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "WEBSITE_HOSTNAME": f"localhost:{port}",
        }
        bodies: Path = options.data / "bodies"
        shutil.rmtree(bodies, ignore_errors=True)
        bodies.mkdir()
        keys = Keys(options.data, options.enable_auth)
        links = Links(self._origin, settings.hub_name, keys["durabletask_extension"])
        config = {
            "app": str(options.app),
            "bodies": str(bodies),
            "log_levels": settings.log_levels,
            "durable_client": links.binding(),
        }
        self._store = store = Store(options.data / "devhost.db", options.full_sync)
        self._background = background = Background()
        self._supervisor = supervisor = Supervisor(config, settings, background, self._use)
        self._engine = Engine(store, supervisor, settings, background)
        poll_event_grid = not options.event_grid_only
        self._blobs = BlobTriggers(store, supervisor, settings, background, poll_event_grid=poll_event_grid)
        self._timers = Timers(store, supervisor, settings, background)
        own = [
            Route("runtime/webhooks/blobs", ["POST"], Endpoint(self._blobs.receive_events, "blobs_extension")),
            Route("admin/functions/{name}", ["POST"], Endpoint(self._timers.run_by_hand, "ADMIN")),
        ]
        for method, template, answer in DurableApi(self._engine, links).endpoints():
            own.append(Route(f"durabletask/{template}", [method], Endpoint(answer)))
            secured = Endpoint(answer, "durabletask_extension")
            own.append(Route(f"runtime/webhooks/durabletask/{template}", [method], secured))
        cors = Cors(options.cors, options.cors_credentials, settings.host)
        self._front = HttpFront(supervisor, cors, keys, own)

    async def run(self) -> None:
        """Serves until it is cancelled; raises HostError when the app cannot be served."""
        try:
            await self._supervisor.start()
            await self._front.start(self._socket)
            self._engine.start()
            sys.stdout.write(f"ready {self._origin}\n")
            sys.stdout.flush()
            if self._options.watch:
                async for _ in awatch(self._options.app, watch_filter=PythonFilter(extra_extensions=[".json"])):
                    await self._supervisor.reload()
            await asyncio.Event().wait()
        finally:
            await self._front.stop()
            await self._background.stop()
            await self._blobs.close()
            await self._supervisor.stop()
            self._store.close()

    def _use(self, functions: Functions) -> None:
        self._front.use(functions.of("httptrigger"), self._settings.route_prefix)
        self._engine.functions = functions
        self._blobs.use(functions.of("blobtrigger"))
        self._timers.use(functions.of("timertrigger"))
