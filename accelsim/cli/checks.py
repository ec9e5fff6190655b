"""validate, dram and area: parts of the model alone, against references or by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accelsim.cli.completion import presets, references
from accelsim.cli.inputs import AcceleratorName, AsJson, OutFolder, Overrides, Quiet, StyleText, TechnologyName, load_accelerator_of
from accelsim.cli.shell import EXIT_CHECK_FAILED, GuardedGroup, print_json, print_line
from accelsim.cli.silicon import validate_silicon
from accelsim.cli.unused import WITH_FOLDER, refuse_given
from accelsim.presets import find_reference

if TYPE_CHECKING:
    from accelsim.validate.report import ValidationReport

validate_app = typer.Typer(
    cls=GuardedGroup, no_args_is_help=True, rich_markup_mode=None, help="Replay reference figures; print each row's error."
)
dram_app = typer.Typer(cls=GuardedGroup, no_args_is_help=True, rich_markup_mode=None, help="The memory channel alone.")


def _reference(kind: str) -> Any:
    return typer.Argument(metavar="REFERENCE", help="A name (accelsim list references) or a CSV file.", autocompletion=references(kind))


CoreReference = Annotated[str, _reference("core")]
ClusterReference = Annotated[str, _reference("cluster")]
SystolicReference = Annotated[str, _reference("systolic")]
DramReference = Annotated[str, _reference("dram")]
AreaReference = Annotated[str, _reference("area")]
OutsideReference = Annotated[str, _reference("outside")]
Tolerance = Annotated[float | None, typer.Option(min=0, metavar="PCT", help="Allowed error where the file states none; default exact.")]
Policy = Annotated[str, typer.Option(metavar="NAME", help="Controller: a preset's name or a YAML file.")]


def area(
    ctx: typer.Context,
    accel: AcceleratorName,
    technology: TechnologyName = "nangate45",
    overrides: Overrides = None,
    out: OutFolder = None,
    style: StyleText = "paper",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Area of a chip by component, with its range."""
    from accelsim.cost.area import area_of
    from accelsim.cost.technology import load_technology
    from accelsim.report.export.area import check_area_folder, write_area
    from accelsim.report.plots.picture_style import PictureStyle
    from accelsim.report.tables.area import render_area
    from accelsim.report.tables.terminal import stdout_console

    look = PictureStyle.parse(style)
    if out is None:
        refuse_given(ctx, WITH_FOLDER, "style")
    else:
        check_area_folder(out)
    report = area_of(load_accelerator_of(accel, overrides), load_technology(technology))
    if out is not None:
        from accelsim.report.plots.area import area_pictures
        from accelsim.report.plots.picture import files_of

        write_area(out, report, files_of(area_pictures(report), look))
    if as_json:
        print_json(report.to_dict())
    elif quiet:
        print_line(f"{report.accelerator}: {report.placed_um2.nominal / 1e6:.3f} mm2 in {report.technology}")
    else:
        render_area(stdout_console(), report)


@validate_app.command("core")
def validate_core(reference: CoreReference, tolerance: Tolerance = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """The decode-and-MAC core against cycles and counters of its RTL."""
    from accelsim.validate.core import validate_core as validate

    _verdict(validate(find_reference("core", reference), tolerance), as_json, quiet)


@validate_app.command("cluster")
def validate_cluster(reference: ClusterReference, tolerance: Tolerance = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """The compute cluster (chained runs, accumulators, requantization, weight supply) against programs of its RTL."""
    from accelsim.validate.cluster import validate_cluster as validate

    _verdict(validate(find_reference("cluster", reference), tolerance), as_json, quiet)


@validate_app.command("systolic")
def validate_systolic(reference: SystolicReference, tolerance: Tolerance = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """The array's fold loop against cycles of a systolic array simulator."""
    from accelsim.validate.systolic import validate_systolic as validate

    _verdict(validate(find_reference("systolic", reference), tolerance), as_json, quiet)


@validate_app.command("dram")
def validate_dram(
    reference: DramReference, tolerance: Tolerance = None, policy: Policy = "frfcfs", as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """The memory channel against cycles, latency, row hits and refreshes of DRAM simulators."""
    from accelsim.validate.dram import validate_dram as validate

    _verdict(validate(find_reference("dram", reference), tolerance, policy), as_json, quiet)


@validate_app.command("area")
def validate_area(
    reference: AreaReference,
    tolerance: Annotated[float | None, typer.Option(min=0, metavar="PCT", help="Allowed error where the file states none.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """The area model against synthesized blocks or cores, published areas, or CACTI's SRAM points."""
    from accelsim.validate.area import validate_area as validate

    _verdict(validate(find_reference("area", reference), tolerance), as_json, quiet)


@validate_app.command("outside")
def validate_outside(reference: OutsideReference, tolerance: Tolerance = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Configurations of published machines against their published figures."""
    from accelsim.validate.outside import validate_outside as validate

    _verdict(validate(find_reference("outside", reference), tolerance), as_json, quiet)


validate_app.command("silicon")(validate_silicon)


def _verdict(report: ValidationReport, as_json: bool, quiet: bool) -> None:
    from accelsim.report.tables.check import render_validation
    from accelsim.report.tables.terminal import stdout_console

    if as_json:
        print_json(report.to_dict())
    elif quiet:
        inside = sum(item.ok for item in report.rows)
        print_line(f"{report.source}: {inside:,} of {report.count:,} figures inside their tolerance")
    else:
        render_validation(stdout_console(), report)
    if not report.ok:
        raise typer.Exit(EXIT_CHECK_FAILED)


@dram_app.command("replay")
def replay_trace(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="Text lines CYCLE R|W 0xADDR, one burst per line.")],
    device: Annotated[
        str, typer.Option(metavar="NAME", help="A device's name (accelsim list dram) or a YAML file.", autocompletion=presets("dram"))
    ],
    mapping: Annotated[str, typer.Option(metavar="ORDER", help="Address fields, the most significant first.")] = "RoBaBgCo",
    max_outstanding: Annotated[int, typer.Option(min=1, metavar="N", help="Reads in flight.")] = 32,
    policy: Policy = "frfcfs",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Offer a request trace to one channel: cycles, bandwidth, row hits, latency."""
    from accelsim.hw.dram.controller import load_policy
    from accelsim.hw.dram.device import load_device
    from accelsim.hw.dram.memory_trace import read_memory_trace
    from accelsim.hw.dram.replay import replay
    from accelsim.report.tables.check import render_figures
    from accelsim.report.tables.terminal import stdout_console

    channel, controller = load_device(device), load_policy(policy)
    result = replay(read_memory_trace(trace), channel, controller, mapping, max_outstanding)
    if as_json:
        print_json(result.to_dict())
    elif quiet:
        print_line(f"{trace} on {device}: {result.cycles:,} cycles, {result.bandwidth_gb_per_s:.2f} GB/s")
    else:
        render_figures(stdout_console(), f"{trace} on {device}", result.to_dict())
