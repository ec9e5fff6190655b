"""ablation: what decoding costs in hardware, from two runs on one chip."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli.completion import traces as complete_traces
from accelsim.cli.inputs import AcceleratorName, AsJson, OutFolder, Overrides, Quiet, Seed, TechnologyName, TraceName, load_inputs
from accelsim.cli.shell import print_json, print_line
from accelsim.cli.simulating import simulating


def ablation(
    accel: AcceleratorName,
    trace: TraceName,
    raw_trace: Annotated[
        str, typer.Argument(metavar="RAW_TRACE", help="The same network with raw weights (uniform).", autocompletion=complete_traces)
    ],
    seed: Seed = 0,
    overrides: Overrides = None,
    technology: TechnologyName = "nangate45",
    out: OutFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Cycles, energy and area of decoding, against raw weights."""
    from accelsim.cost.ablation import ablate
    from accelsim.cost.technology import load_technology
    from accelsim.report.export.ablation import check_ablation_folder, write_ablation
    from accelsim.report.tables.ablation import render_ablation
    from accelsim.report.tables.terminal import stdout_console

    if out is not None:
        check_ablation_folder(out)
    inputs = [load_inputs(accel, name, overrides) for name in (trace, raw_trace)]
    node = load_technology(technology)
    from accelsim.simulation import simulate  # after the checks: a wrong name is answered without loading the machine

    with simulating(quiet=quiet) as update:
        coded, raw = (simulate(machine, network, seed=seed, progress=update) for machine, network in inputs)
    found = ablate(coded, raw, node)
    if out is not None:
        write_ablation(out, found)
    if as_json:
        print_json(found.to_dict())
    elif quiet:
        one, other = found.whole("coded"), found.whole("raw")
        print_line(
            f"{one.cycles / other.cycles:.3f}x cycles, {one.energy_uj.nominal / other.energy_uj.nominal:.3f}x energy, "
            f"{one.area_mm2.nominal / other.area_mm2.nominal:.3f}x area",
        )
    else:
        render_ablation(stdout_console(), found)
