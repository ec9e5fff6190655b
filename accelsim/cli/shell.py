"""What all commands share of a shell's manners: exit statuses, one message for a user's mistake, JSON on stdout.

Exit status: 0 done, 1 a check failed, 2 the user's input was wrong, 130 interrupted, 141 the reader of our output went away.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from accelsim.errors import AccelsimError

EXIT_CHECK_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class GuardedGroup(TyperGroup):
    """Turns what a user can cause into one message on stderr; what is left is a bug and shows its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            out = super().invoke(ctx)
            sys.stdout.flush()
        except AccelsimError as error:
            fail(str(error))
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail again
            raise typer.Exit(EXIT_BROKEN_PIPE) from None
        except OSError as error:
            fail(
                f"{error.filename}: {error.strerror}" if error.filename is not None else f"cannot write or read: {error.strerror or error}"
            )
        return out


def fail(message: str) -> NoReturn:
    from accelsim.report.text import clean

    text = "\n".join(clean(line) for line in message.splitlines())
    typer.echo(f"accelsim: {text}", err=True)
    raise typer.Exit(EXIT_BAD_INPUT)


def print_json(content: Any) -> None:
    """Plain data as JSON on stdout."""
    from accelsim.report.export import to_json

    typer.echo(to_json(content))
