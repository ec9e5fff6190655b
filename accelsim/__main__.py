"""The command `accelsim`, and `python -m accelsim`: Ctrl-C and SIGTERM are answered from the first import on."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn


def main() -> None:
    """Entry point of the command; an interrupt that no command handles ends it with one line and status 130, SIGTERM with 143."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        from accelsim.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write("accelsim: interrupted\n")
        sys.exit(130)


def _terminate(number: int, frame: object) -> NoReturn:
    """End as by `sys.exit`, so that unfinished files beside their places are removed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
