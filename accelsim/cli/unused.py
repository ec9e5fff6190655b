"""Options that would have no effect beside the others: refused by name, so that none is passed over."""

from __future__ import annotations

import typer

from accelsim.cli.shell import fail

WITH_FOLDER = "with -o DIR, where pictures are written"


def refuse_given(ctx: typer.Context, allowed: str, *names: str) -> None:
    """End with status 2 if one of the parameters was given on the command line, as its default too; `allowed`: beside what it may be."""
    options = {parameter.name: max(parameter.opts, key=len) for parameter in ctx.command.params}
    for name in names:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            fail(f"{options[name]}: allowed {allowed}")
