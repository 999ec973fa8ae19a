"""`python -m devhost`: runs a function app until it is stopped."""

import asyncio
import logging
import sys

from devhost.errors import HostError
from devhost.host import serve
from devhost.options import Options


def main() -> int:
    """Exit code 0 after an orderly stop, 1 with one sentence on standard error when the host cannot run."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s [%(name)s] %(message)s"
    )
    logging.getLogger("azure").setLevel(logging.WARNING)
    try:
        asyncio.run(serve(Options.parse()))
    except HostError as error:
        sys.stderr.write(f"devhost: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
