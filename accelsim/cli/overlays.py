"""overlay: a saved run on the graph of its ONNX file, for Model Explorer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli.inputs import AsJson, Quiet
from accelsim.cli.shell import print_json, print_line

_SHOWN = 3


def overlay(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="A result.json, or the folder of a run.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The .onnx file that the run's network was imported from.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Node data, one .json file per figure.")],
    bind: Annotated[list[str] | None, typer.Option(metavar="NAME=SIZE", help="As given to accelsim import.")] = None,
    fill: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="As given to accelsim import.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show a run on the graph of its model, for Model Explorer.

    Cycles, MACs, bytes and what limits, at each node that a layer comes from.
    """
    from accelsim.importers.import_model import model_nodes, parse_numbers
    from accelsim.report.export.overlay import check_overlay_folder, frame_of, write_overlay
    from accelsim.stored_result import load_result

    saved = load_result(result)
    check_overlay_folder(out)
    found = model_nodes(model, parse_numbers(bind or (), "--bind", 1), parse_numbers(fill or (), "--fill", 0))
    write_overlay(out, saved, found.graph, found.nodes)
    frame = frame_of(saved, found.nodes)
    absent = [layer.name for layer in frame.layers if layer.name not in found.nodes]
    shown = len(frame.layers) - len(absent)
    cycles = sum(layer.total_cycles for layer in frame.layers if layer.name in found.nodes)
    if as_json:
        figures = {"layers": shown, "not_shown": absent, "cycles": cycles, "cycles_of_all": frame.total_cycles}
        print_json({"path": str(out), "graph": found.graph, **figures})
        return
    print_line(f"{out}: {shown} of {len(frame.layers)} layers on the nodes of {model}")
    if absent and not quiet:
        more = ", ..." if len(absent) > _SHOWN else ""
        print_line(f"On no node of the file: {', '.join(absent[:_SHOWN])}{more}")
