"""The one command for this project: demo, start, token, test, bench, migrate, package.

`python dev.py start` sets everything up on a machine that has only Python 3.11 and runs the backend; see
`python dev.py --help`. Standard library only. Linux, macOS and Windows.
"""

from __future__ import annotations

import sys

# Before the imports, which an older Python could not follow.
if sys.version_info < (3, 11):  # noqa: UP036 - the very reason for the line
    sys.exit(f"This is Python {sys.version.split()[0]}; run dev.py with Python 3.11, 3.12 or 3.13.")

import argparse
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from devtools import Failure
from devtools.backend import default_origins, running_backend
from devtools.bearer import bearer_token
from devtools.client import Api
from devtools.demo import run_demo
from devtools.host import KINDS, Host
from devtools.installation import installation
from devtools.local_settings import SIGNING_KEY, local_settings, setting
from devtools.lock import write_locks
from devtools.migration import migrate as migrated
from devtools.migration import read_exports
from devtools.package import build_package
from devtools.ports import free_ports, is_free
from devtools.processes import run_tied

ROOT = Path(__file__).resolve().parent
INTERRUPTED = 130
# Half of the suite's time is waiting for processes; a file's tests stay together and share what it sets up.
TWO_AT_ONCE = ("-n", "2", "--dist", "loadfile")
# Of the environment: a token of the issuing service, where its key is not at hand.
TOKEN = "CANVAS_TOKEN"


def start(options: argparse.Namespace) -> int:
    """Run the backend until Ctrl-C or SIGTERM."""
    if not is_free(options.port):
        raise Failure(f"Port {options.port} is taken; stop what listens there, or choose another by --port.")
    installed = installation(ROOT)
    origins = options.cors or str(local_settings(ROOT).get("Host", {}).get("CORS") or default_origins())
    data = Path(options.data).resolve()
    backend = running_backend(ROOT, installed, port=options.port, data=data, host_kind=options.host, cors=origins)
    try:
        with backend as host:
            _echo_until_it_ends(host)
    except KeyboardInterrupt:
        return 0
    raise Failure(f"The Functions host ended by itself: {host.last_words()}")


def demo(options: argparse.Namespace) -> int:
    """Train a network on a real table, on the whole real path."""
    installed = installation(ROOT)
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    port, *storage_ports = free_ports(4)
    try:
        with running_backend(
            ROOT,
            installed,
            port=port,
            data=folder,
            host_kind=options.host,
            cors="",
            storage_ports=tuple(storage_ports),
            own_storage=True,
        ) as host:
            print(f"The backend serves at {host.url}", flush=True)
            token = _token(user="demo", admin=False)
            run_demo(ROOT, Api(host.url, token), installed.python, folder)
    except Failure as failure:
        # What the host said stays, for whoever looks into it.
        raise Failure(f"{str(failure).rstrip('.')} (logs are in {folder}).") from None
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def token(options: argparse.Namespace) -> int:
    """Print a bearer token that the backend of `start` accepts."""
    print(_token(user=options.user, admin=options.admin))
    return 0


def test(options: argparse.Namespace) -> int:
    """Run the test suite; arguments go to pytest."""
    return _become(installation(ROOT).python, ["-m", "pytest", *TWO_AT_ONCE, *options.arguments])


def bench(options: argparse.Namespace) -> int:
    """Run a measurement of bench/."""
    script = ROOT / "bench" / f"{options.name}.py"
    if not script.exists():
        names = ", ".join(sorted(file.stem for file in script.parent.glob("[!_]*.py"))) or "none yet"
        raise Failure(f"There is no measurement {options.name}; there are: {names}.")
    return _become(installation(ROOT).python, ["-m", f"bench.{options.name}", *options.arguments])


def migrate(options: argparse.Namespace) -> int:
    """Bring graphs, snapshots and presets of the Django service along; see docs/migrating.md."""
    export = read_exports([Path(file) for file in options.files])
    nameless = any(not graph.owner for graph in export.graphs)
    given = os.environ.get(TOKEN, "")
    if nameless and not (given or options.user_id):
        raise Failure(f"These graphs name no owner: say whose they are by --user-id, or set {TOKEN}.")

    def sign(owner: str, admin: bool) -> Api:
        user = owner or options.user_id or "migration"
        return Api(options.url.rstrip("/"), given or _token(user=user, admin=admin, user_id=user))

    try:
        reports = list(migrated(export, sign))
    except OSError as error:
        raise Failure(f"{options.url} does not answer: {error}.") from None
    for kind, report in reports:
        print(f"{kind}: {report.made} brought along, {report.there} there already, {len(report.refused)} refused")
        for sentence in report.refused:
            print(f"  {sentence}")
    return 1 if any(report.refused for _, report in reports) else 0


def package(options: argparse.Namespace) -> int:
    """Build the zip that is deployed to Azure."""
    installed = installation(ROOT)
    print(build_package(ROOT, installed.python, Path(options.output), with_dependencies=options.with_dependencies))
    return 0


def lock(options: argparse.Namespace) -> int:
    """Write the lock files anew, after a change of the requirements."""
    write_locks(ROOT, installation(ROOT).python, upgrade=options.upgrade)
    return 0


def _echo_until_it_ends(host: Host) -> None:
    """Say ready once, and pass on what the host prints."""
    with host.log.open("r", encoding="utf-8", errors="replace") as log:
        sys.stdout.write("".join(line for line in log if not line.startswith("ready ")))
        print(f"ready {host.url}", flush=True)
        while host.is_running():
            sys.stdout.write(log.read())
            sys.stdout.flush()
            time.sleep(0.2)


def _token(*, user: str, admin: bool, user_id: str = "") -> str:
    key = setting(local_settings(ROOT), SIGNING_KEY, dict(os.environ))
    if not key:
        raise Failure(f"{SIGNING_KEY} is empty in local.settings.json; delete the file to get a fresh key.")
    return bearer_token(key, user=user, admin=admin, now=int(time.time()), user_id=user_id)


def _become(python: Path, arguments: list[str]) -> int:
    """Go on as that Python: no parent stays that could be killed without its child."""
    command = [str(python), *arguments]
    os.chdir(ROOT)
    if sys.platform != "win32":
        os.execv(command[0], command)
    return run_tied(command, cwd=ROOT, env=dict(os.environ), output=sys.stdout.fileno())


_ENDING_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # From here on everything is being stopped, which a second Ctrl-C must not cut short.
    for each in (signal.SIGINT, *_ENDING_SIGNALS):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="command")

    sub = commands.add_parser("demo", help=demo.__doc__)
    _add_host(sub)
    sub.set_defaults(run=demo)

    sub = commands.add_parser("start", help=start.__doc__)
    sub.add_argument("--port", type=int, default=7071, help="port of the backend (default 7071)")
    sub.add_argument("--data", default=str(ROOT / ".data"), help="folder of all stored data (default .data)")
    sub.add_argument("--cors", metavar="ORIGINS", help="web pages that may call, separated by commas")
    _add_host(sub)
    sub.set_defaults(run=start)

    sub = commands.add_parser("token", help=token.__doc__)
    sub.add_argument("--user", default="developer", help="name of the user (default developer)")
    sub.add_argument("--admin", action="store_true", help="make the user an administrator")
    sub.set_defaults(run=token)

    sub = commands.add_parser("test", help=test.__doc__, add_help=False, prefix_chars="\0")
    sub.add_argument("arguments", nargs=argparse.REMAINDER)
    sub.set_defaults(run=test)

    sub = commands.add_parser("bench", help=bench.__doc__)
    sub.add_argument("name", help="a file of bench/, without .py")
    sub.add_argument("arguments", nargs=argparse.REMAINDER)
    sub.set_defaults(run=bench)

    sub = commands.add_parser("migrate", help=migrate.__doc__)
    sub.add_argument("files", nargs="+", metavar="FILE", help="JSON: answers of the old API, or dumpdata")
    sub.add_argument("--url", default="http://127.0.0.1:7071", help="the backend (default http://127.0.0.1:7071)")
    sub.add_argument("--user-id", default="", help="owner of graphs whose export names none")
    sub.set_defaults(run=migrate)

    sub = commands.add_parser("lock", help=lock.__doc__)
    sub.add_argument("--upgrade", action="store_true", help="also take newer versions of what is not pinned")
    sub.set_defaults(run=lock)

    sub = commands.add_parser("package", help=package.__doc__)
    sub.add_argument("--output", default=str(ROOT / "dist" / "app.zip"), help="file to write (default dist/app.zip)")
    sub.add_argument("--with-dependencies", action="store_true", help="put the Python packages in, built for Azure")
    sub.set_defaults(run=package)
    return parser


def _add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", choices=KINDS, default="auto", help="auto: Core Tools when installed, else devhost")


def main() -> int:
    options = _parser().parse_args()
    for number in (signal.SIGINT, *_ENDING_SIGNALS):
        # nohup switches SIGHUP off, and means it.
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        return options.run(options)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
