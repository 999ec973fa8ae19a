"""Leads a process group and ends it when whoever started it is gone, however that happened.

Run as `python tether.py FD`. Standard input is a pipe that only the starter holds: it closes when the
starter ends, also by SIGKILL. FD is the reading end of a pipe that only the tethered process holds: it
closes when that process has ended. POSIX only; on Windows a job object does the same.
"""

import os
import select
import signal
import sys

PATIENCE_SECONDS = 10


def main(tethered: int) -> None:
    # The whole group, this process included, is told to end; the tether must outlive that message.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGTERM)
    select.select([tethered], [], [], PATIENCE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
