"""Shell conventions shared by all commands: exit statuses, one message for a user's mistake, JSON on stdout.

Exit status: 0 done, 1 a check failed, 2 the user's input was wrong, 130 interrupted, 141 the reader of our output went away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from accelsim.cli.usage import usage_message
from accelsim.errors import AccelsimError, ConfigError
from accelsim.registry import suggest

EXIT_CHECK_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class GuardedGroup(TyperGroup):
    """Turns errors that a user can cause into one message on stderr; any other is a bug and shows its traceback."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _guarded():
            return super().make_context(*args, **kwargs)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            known = self.list_commands(ctx)
            raise ConfigError(f"there is no command {name!r} of {ctx.command_path}; known: {', '.join(known)}{suggest(name, known)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _guarded():
            out = super().invoke(ctx)
            sys.stdout.flush()
            return out


@contextmanager
def _guarded() -> Iterator[None]:
    try:
        yield
    except AccelsimError as error:
        fail(str(error))
    except typer.TyperException as error:
        if error.format_message().startswith("Usage: "):  # a group that was called without a command answers with its help
            raise
        fail(usage_message(error))
    except KeyboardInterrupt:
        typer.echo("accelsim: interrupted", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail again
        raise typer.Exit(EXIT_BROKEN_PIPE) from None
    except MemoryError as error:
        fail(f"out of memory: {error}" if str(error) else "out of memory")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename is not None else f"cannot write or read: {error.strerror or error}")


def fail(message: str) -> NoReturn:
    """End with status 2 and one message."""
    from accelsim.report.tables.text import clean

    text = "\n".join(clean(line) for line in message.splitlines())
    typer.echo(f"accelsim: {text}", err=True)
    raise typer.Exit(EXIT_BAD_INPUT)


def print_line(text: str) -> None:
    """Print the output of --quiet: one line on stdout, however long, so that a script can read it; with --tables, in its markup."""
    from accelsim.report.tables.markup import MARKUP
    from accelsim.report.tables.text import clean

    markup = MARKUP.get()
    typer.echo(clean(text) if markup is None else markup.text(clean(text)))


def print_json(content: Any) -> None:
    """Plain data as JSON on stdout."""
    from accelsim.report.export.run import to_json

    typer.echo(to_json(content))
