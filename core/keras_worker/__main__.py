"""Where a child process or a fork server begins: `python -m core.keras_worker child|server --backend NAME`."""

import argparse
import socket


def main() -> None:
    parser = argparse.ArgumentParser(prog="core.keras_worker")
    parser.add_argument("role", choices=["child", "server"])
    parser.add_argument("--backend", choices=["tensorflow", "numpy", "none"], required=True)
    parser.add_argument("--channel", type=int, help="the inherited socket to the parent, for a server")
    options = parser.parse_args()
    if options.role == "child":
        from core.keras_worker.channel import standard_streams
        from core.keras_worker.command_loop import run_commands

        run_commands(*standard_streams(), options.backend)
    else:
        from core.keras_worker.fork_loop import serve_forks

        serve_forks(socket.socket(fileno=options.channel), options.backend)


if __name__ == "__main__":
    main()
