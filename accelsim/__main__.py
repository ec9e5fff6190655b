"""The command `accelsim`, and `python -m accelsim`: Ctrl-C and SIGTERM are answered from the first import on."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from sys import UnraisableHookArgs

_SOON_S = 0.01


def main() -> None:
    """Entry point of the command."""
    answering_signals(_command)


def answering_signals(command: Callable[[], None]) -> None:
    """Run a command; an interrupt that it does not handle ends it with one line and status 130, SIGTERM with 143."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _raise_again
    try:
        command()
    except KeyboardInterrupt:
        sys.stderr.write("accelsim: interrupted\n")
        sys.exit(130)


def _command() -> None:
    from accelsim.cli import main as command

    command()


def _terminate(number: int, frame: object) -> NoReturn:
    """End as by `sys.exit`, so that unfinished files beside their places are removed."""
    sys.exit(128 + number)


def _raise_again(ignored: UnraisableHookArgs) -> None:
    """Python drops what a signal's handler raises within a destructor, and goes on: the signal comes again when that is over."""
    if not isinstance(ignored.exc_value, KeyboardInterrupt | SystemExit):
        sys.__unraisablehook__(ignored)
        return
    number = signal.SIGINT if isinstance(ignored.exc_value, KeyboardInterrupt) else signal.SIGTERM
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
    signal.setitimer(signal.ITIMER_REAL, _SOON_S)


if __name__ == "__main__":
    main()
