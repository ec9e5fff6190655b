"""Arguments and options that several commands take, and how the names in them become an accelerator and a trace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.completion import overrides as field_overrides
from accelsim.cli.completion import presets, traces

if TYPE_CHECKING:
    from accelsim.accelerator import Accelerator
    from accelsim.trace.trace import Trace

AcceleratorName = Annotated[
    str,
    typer.Argument(metavar="ACCEL", help="A preset's name (accelsim list presets) or a YAML file.", autocompletion=presets("accelerators")),
]
TraceName = Annotated[
    str,
    typer.Argument(
        metavar="TRACE",
        help="A name (accelsim list traces), a directory, or its shapes: NAME@FORMAT, a language model's NAME@step:context=99.",
        autocompletion=traces,
    ),
]
Then = Annotated[
    list[str] | None,
    typer.Option(
        "--then",
        metavar="TRACE",
        help="Another network that takes turns with the first on the same chip, or has a core of its own; may be repeated.",
        autocompletion=traces,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override a field: --set codebook.ports=2; or FILE.cfg: SCALE-Sim's array.",
        autocompletion=field_overrides,
    ),
]
FitCodebook = Annotated[bool, typer.Option("--fit-codebook", help="Give the chip the codebook that the trace asks for.")]
TechnologyName = Annotated[
    str, typer.Option("--technology", metavar="NAME", help="A technology's name or a YAML file.", autocompletion=presets("technology"))
]
OutFolder = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write tables, JSON, CSV and pictures to this folder.")]
StyleText = Annotated[
    str,
    typer.Option(
        "--style",
        metavar="STYLE",
        help="Pictures for paper, slides or page; also slides:width=200,font=16,title=off,files=pdf+svg (svg, png, pdf, pgf).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables: one line.")]
Frames = Annotated[int, typer.Option(min=1, max=1024, help="Inferences of each network, one after the other; the first is the cold start.")]
Batch = Annotated[int, typer.Option(min=1, max=1024, help="Images of one inference.")]
Prefill = Annotated[int | None, typer.Option(min=0, help="Of a language model: tokens of the prompt, run in one step.")]
Decode = Annotated[int | None, typer.Option(min=0, help="Of a language model: tokens after the prompt, one by one.")]
CacheBits = Annotated[int, typer.Option("--cache-bits", help="With --prefill or --decode: bits of an element of the cache: 4, 8 or 16.")]
Context = Annotated[int | None, typer.Option(min=0, help="With --prefill or --decode: tokens in the cache before.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the values that a trace leaves open.")]


def load_others(names: Sequence[str] | None) -> tuple[Trace, ...]:
    """The traces that run beside the first."""
    from accelsim.api.trace import trace_of

    return tuple(trace_of(name) for name in names or ())


def load_accelerator_of(accelerator: str, overrides: Sequence[str] | None) -> Accelerator:
    """The accelerator that a command names."""
    from accelsim.api.inputs import accelerator_of

    return accelerator_of(accelerator, overrides, warn)


def load_inputs(accelerator: str, trace: str, overrides: Sequence[str] | None, *, fit: bool = False) -> tuple[Accelerator, Trace]:
    """The accelerator and the trace that a command names; with `fit` the accelerator has the codebook that the trace asks for."""
    from accelsim.api.inputs import fitted
    from accelsim.api.trace import trace_of

    machine, network = load_accelerator_of(accelerator, overrides), trace_of(trace)
    return fitted(machine, network) if fit else machine, network


def warn(text: str) -> None:
    """Print a warning on stderr."""
    from accelsim.report.tables.text import clean

    typer.echo(f"warning: {clean(text)}", err=True)
