"""A command line that cannot be parsed, as one message in the words of all others.

Assumes Typer's exceptions as it has them since 0.29: the allowed values are in a pydantic error behind the exception.
"""

from __future__ import annotations

from typing import Any

import typer

from accelsim.registry import suggest


def usage_message(error: typer.TyperException) -> str:
    """'run: there is no option '--frmes'; did you mean '--frames'?; see accelsim run --help'."""
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return _plain(error)
    command = context.command_path.partition(" ")[2]
    return f"{command + ': ' if command else ''}{_said(error, context)} (see {context.command_path} --help)"


def _said(error: typer.TyperException, context: Any) -> str:
    name, parameter = getattr(error, "option_name", None), getattr(error, "param", None)
    reason: Any = error.__cause__
    options = [option for item in context.command.get_params(context) for option in (*item.opts, *item.secondary_opts) if option[:1] == "-"]
    if isinstance(name, str) and name not in options:
        return f"there is no option {name!r}{suggest(name, options)}"
    if parameter is not None and hasattr(reason, "errors"):
        from accelsim.problems import in_words
        from accelsim.wording import shown

        problem = reason.errors()[0]
        return f"{_called(parameter)} has value {shown(problem['input'])}: {in_words(problem)}"
    if parameter is not None and not error.message:
        return f"{_called(parameter)} is missing"
    return _plain(error)


def _called(parameter: Any) -> str:
    """'--out' or 'TRACE'."""
    options = [option for option in parameter.opts if option.startswith("-")]
    return max(options, key=len) if options else str(parameter.metavar or parameter.name)


def _plain(error: typer.TyperException) -> str:
    text = error.format_message().rstrip(".")
    return text[:1].lower() + text[1:]
