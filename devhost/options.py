"""The command line of the host."""

import argparse
from dataclasses import dataclass
from pathlib import Path

_DEFAULT_DATA = ".devhost"


@dataclass(frozen=True)
class Options:
    """What was asked for; None means: as in local.settings.json or the default."""

    app: Path
    port: int | None
    data: Path
    cors: str | None
    cors_credentials: bool
    enable_auth: bool
    watch: bool
    full_sync: bool
    event_grid_only: bool

    @classmethod
    def parse(cls, arguments: list[str] | None = None) -> "Options":
        """Reads the command line; ends the process with usage text when it is wrong."""
        parser = argparse.ArgumentParser("devhost", description="Runs an Azure Functions app (Python v2) locally.")
        parser.add_argument("--app", type=Path, default=Path(), help="folder of function_app.py (default: here)")
        parser.add_argument("--port", type=int, help="port on 127.0.0.1, 0 for a free one (default: 7071)")
        parser.add_argument("--data", type=Path, help=f"folder of the database (default: {_DEFAULT_DATA} in the app)")
        parser.add_argument("--cors", metavar="ORIGIN[,ORIGIN]", help="origins that browsers may call from")
        parser.add_argument("--cors-credentials", action="store_true", help="allow credentials across origins")
        parser.add_argument(
            "--enable-auth", action="store_true", help="check access keys (keys.json in the data folder)"
        )
        parser.add_argument("--watch", action="store_true", help="reload the app when one of its files changes")
        parser.add_argument("--full-sync", action="store_true", help="survive power cuts too: fsync every commit")
        parser.add_argument(
            "--event-grid-only",
            action="store_true",
            help="poll nothing that has the source EventGrid, as on Azure",
        )
        found = parser.parse_args(arguments)
        app = found.app.resolve()
        data = (found.data or app / _DEFAULT_DATA).resolve()
        return cls(
            app,
            found.port,
            data,
            found.cors,
            found.cors_credentials,
            found.enable_auth,
            found.watch,
            found.full_sync,
            found.event_grid_only,
        )
