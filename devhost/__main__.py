"""`python -m devhost`: runs a function app until it is stopped."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from devhost.errors import HostError
from devhost.host import serve


def main() -> int:
    """Exit code 0 after an orderly stop, 1 with one sentence on standard error when the host cannot run."""
    parser = argparse.ArgumentParser("devhost", description="Runs an Azure Functions app (Python v2) locally.")
    parser.add_argument("--app", type=Path, default=Path(), help="folder of function_app.py (default: here)")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1, 0 for a free one (default: 7071)")
    parser.add_argument("--data", type=Path, help="folder of the database (default: .devhost in the app)")
    parser.add_argument("--settings", type=Path, help="file of settings (default: local.settings.json in the app)")
    parser.add_argument("--cors", metavar="ORIGIN[,ORIGIN]", help="origins that browsers may call from")
    parser.add_argument("--cors-credentials", action="store_true", help="allow credentials across origins")
    parser.add_argument("--enable-auth", action="store_true", help="check access keys (keys.json in the data folder)")
    parser.add_argument("--watch", action="store_true", help="reload the app when one of its files changes")
    parser.add_argument("--event-grid-only", action="store_true", help="poll nothing that has the source EventGrid")
    parser.add_argument("--full-sync", action="store_true", help="survive power cuts too: fsync every commit")
    options = parser.parse_args()
    options.app = options.app.resolve()
    options.data = (options.data or options.app / ".devhost").resolve()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s [%(name)s] %(message)s")
    for noisy in ("azure", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        asyncio.run(serve(options))
    except HostError as error:
        sys.stderr.write(f"devhost: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
