"""The command `accelsim`, and `python -m accelsim`: Ctrl-C is answered from the first import on."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the command; an interrupt that no command handles ends it with one line and status 130."""
    try:
        from accelsim.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write("accelsim: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
