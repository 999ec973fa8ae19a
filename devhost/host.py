"""The host: puts worker, HTTP front, durable engine and triggers together, and takes them apart in order."""

import asyncio
import logging
import signal
import socket
import sys

from aiohttp import web

from devhost.cors import Cors
from devhost.data_lock import DataLock
from devhost.durable.api import DurableApi
from devhost.durable.engine import Engine
from devhost.durable.links import Links
from devhost.durable.store import Store
from devhost.errors import HostError
from devhost.event_grid import receive_events
from devhost.functions import Functions
from devhost.host_file import HostFile
from devhost.http_server import HttpServer
from devhost.keys import Keys
from devhost.options import Options
from devhost.routes import RouteTable
from devhost.settings import Settings
from devhost.supervisor import Supervisor
from devhost.triggers.blobs import BlobTriggers
from devhost.triggers.timers import Timers
from devhost.watch import changes

_log = logging.getLogger("devhost")

_DEFAULT_PORT = 7071
_DATABASE = "devhost.db"


class Host:
    """One host on one data folder and one port; made and run inside a loop."""

    def __init__(self, options: Options, settings: Settings, host_file: HostFile, sock: socket.socket) -> None:
        self._options = options
        self._host_file = host_file
        self._socket = sock
        self.origin = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._store = Store(options.data / _DATABASE, options.full_sync)
        keys = Keys(options.data, options.enable_auth)
        links = Links(self.origin, host_file.hub_name, keys.system("durabletask_extension"))
        self._supervisor = Supervisor(options.app, host_file, _for_worker(settings, options, sock), links.binding())
        self._supervisor.on_functions = self._use
        self._engine = Engine(self._store, self._supervisor, host_file)
        self._blobs = BlobTriggers(
            self._store, self._supervisor, settings, host_file, poll_event_grid=not options.event_grid_only
        )
        self._timers = Timers(self._store, self._supervisor, settings)
        cors = Cors.create(options.cors, options.cors_credentials, settings.host)
        self._http = HttpServer(self._supervisor, cors, keys)
        self._mount(DurableApi(self._engine, links), keys)

    def _mount(self, durable: DurableApi, keys: Keys) -> None:
        async def manage(request: web.BaseRequest, path: str) -> web.StreamResponse:
            if not keys.allows_extension("durabletask_extension", request):
                return web.Response(status=401)
            return await durable.handle(request, path)

        async def announce(request: web.BaseRequest, path: str) -> web.StreamResponse:
            if path or not keys.allows_extension("blobs_extension", request):
                return web.Response(status=404 if path.strip("/") else 401)
            return await receive_events(request, self._blobs)

        async def administer(request: web.BaseRequest, path: str) -> web.StreamResponse:
            if not keys.allows_function("ADMIN", "", request):
                return web.Response(status=401)
            timer = self._timers.find(path.strip("/"))
            if request.method != "POST" or timer is None:
                return web.Response(status=404)
            await timer.call_now()
            return web.Response(status=202)

        self._http.mount("/durabletask/", durable.handle)
        self._http.mount("/runtime/webhooks/durabletask/", manage)
        self._http.mount("/runtime/webhooks/blobs", announce)
        self._http.mount("/admin/functions/", administer)

    async def run(self, stopped: asyncio.Event) -> None:
        """Serves until `stopped` is set; raises HostError when the app cannot be served."""
        watcher: asyncio.Task[None] | None = None
        try:
            functions = await self._start_worker(stopped)
            if functions is None:
                return
            # Orders left in the database may use the durable client at once: requests must be served before.
            self._http.routes = RouteTable(functions.of("httptrigger"), self._host_file.route_prefix)
            await self._http.start(self._socket)
            await self._use(functions)
            self._engine.start()
            if self._options.watch:
                watcher = asyncio.get_running_loop().create_task(self._reload_on_change())
            sys.stdout.write(f"ready {self.origin}\n")
            sys.stdout.flush()
            await stopped.wait()
        finally:
            if watcher is not None:
                watcher.cancel()
            await self._http.stop()
            await self._timers.stop()
            await self._blobs.stop()
            await self._engine.stop()
            await self._supervisor.stop()
            self._store.close()

    async def _start_worker(self, stopped: asyncio.Event) -> Functions | None:
        """The functions of the app; None when the host was stopped before they were known."""
        starting = asyncio.ensure_future(self._supervisor.start())
        stopping = asyncio.ensure_future(stopped.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if starting.done():
            return starting.result()
        starting.cancel()
        await asyncio.wait((starting,))
        return None

    async def _use(self, functions: Functions) -> None:
        self._engine.functions = functions
        self._http.routes = RouteTable(functions.of("httptrigger"), self._host_file.route_prefix)
        self._blobs.use(functions.of("blobtrigger"))
        await self._timers.use(functions.of("timertrigger"))

    async def _reload_on_change(self) -> None:
        async for _ in changes(self._options.app):
            await self._supervisor.reload()


def _for_worker(settings: Settings, options: Options, sock: socket.socket) -> Settings:
    """The environment of user code: what the real host sets for it too."""
    added = {
        "AZURE_FUNCTIONS_ENVIRONMENT": settings.get("AZURE_FUNCTIONS_ENVIRONMENT") or "Development",
        "AzureWebJobsScriptRoot": str(options.app),
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "WEBSITE_HOSTNAME": f"localhost:{sock.getsockname()[1]}",
    }
    return Settings(settings.environment | added, settings.host)


def _bind(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
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


async def serve(options: Options) -> None:
    """Runs a host until SIGTERM or SIGINT; raises HostError when it cannot."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stopped.set)
        except NotImplementedError:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
    settings = Settings.load(options.app)
    host_file = HostFile.load(options.app, settings)
    lock = DataLock(options.data)
    try:
        port = options.port if options.port is not None else int(settings.host.get("LocalHttpPort", _DEFAULT_PORT))
        sock = _bind(port)
        try:
            await Host(options, settings, host_file, sock).run(stopped)
        finally:
            sock.close()
    finally:
        lock.release()
