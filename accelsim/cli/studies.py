"""study: simulations of a paper's setting, beside the figures that it states."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli.inputs import AsJson, Quiet
from accelsim.cli.shell import GuardedGroup, print_json, print_line
from accelsim.cli.simulating import simulating

study_app = typer.Typer(cls=GuardedGroup, no_args_is_help=True, rich_markup_mode=None, help="A paper's setting, simulated.")


@study_app.callback()
def _studies() -> None:
    pass


@study_app.command("mvq")
def mvq(
    networks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NETWORK...]", help="Of the five: resnet18, resnet50, vgg16, alexnet, mobilenet_v1."),
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Count fully connected and depthwise layers too.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """MVQ's speed-ups over 8 bits on a plain and on its own array; minutes for all.

    Of convolutions but depthwise ones, as the paper's range over its own array excludes fully connected layers.
    """
    from accelsim.report.tables.terminal import say, stdout_console
    from accelsim.studies.mvq import NETWORKS, mvq_speedups

    with simulating(quiet=quiet) as update:
        rows = mvq_speedups(networks or NETWORKS, update, whole=whole)
    if as_json:
        print_json({row.network: {"over_ws": row.over_ws, "over_ews": row.over_ews} for row in rows})
    elif quiet:
        print_line(", ".join(f"{row.network} {row.over_ws:.2f}x" for row in rows))
    else:
        console = stdout_console()
        for row in rows:
            say(
                console,
                f"{row.network}: {row.over_ws:.2f}x over weight stationary at 8 bits, {row.over_ews:.2f}x over enhanced weight stationary "
                f"({row.plain_int8:,}, {row.enhanced_int8:,} and {row.enhanced_compressed:,} cycles)",
            )
