"""The options of `run` that execute a network as a whole, and its printed summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from accelsim.cli.shell import fail, print_line

if TYPE_CHECKING:
    from accelsim.accelerator import Accelerator
    from accelsim.api.arrays import ArrayLike
    from accelsim.api.execute import Execution
    from accelsim.api.result import Result
    from accelsim.progress import Progress
    from accelsim.trace.trace import Trace

_FUNCTIONAL = "--functional"
_WHOLE = ("layers", "network")

Functional = Annotated[
    Literal["layers", "network"] | None,
    typer.Option(
        _FUNCTIONAL,
        metavar="[network]",
        help="Also decode and multiply each layer for real, and compare every bit; 'network': integers flow from layer to layer.",
    ),
]
InputFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]FILE.npy",
        help="With --functional network: the input, floats or integers; may be repeated. None: drawn from the seed.",
    ),
]
OutputsFolder = Annotated[
    Path | None,
    typer.Option("--outputs", metavar="DIR", help="With --functional network: write outputs as integers (.npy) and scales (.json)."),
]


class FunctionalCommand(TyperCommand):
    """A command whose `--functional` may stand alone, as it did before it had values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a lone `--functional` its value."""
        end = args.index("--") if "--" in args else len(args)
        lone = [
            place for place, word in enumerate(args[:end]) if word == _FUNCTIONAL and (place + 1 >= end or args[place + 1] not in _WHOLE)
        ]
        return super().parse_args(ctx, [f"{word}=layers" if place in lone else word for place, word in enumerate(args)])


def checked_network(
    functional: str | None, machine: Accelerator, trace: Trace, others: Sequence[Trace], files: Sequence[str] | None, outputs: Path | None
) -> dict[str, Any] | None:
    """The arrays to execute a network on, {} for a drawn input, None without --functional network; all mistakes are answered here."""
    if functional is not None:
        from accelsim.functional import check_computable

        check_computable(trace, *others)
    if functional != "network":
        given = {"--input": files, "--outputs": outputs}
        for name in (name for name, value in given.items() if value):
            fail(f"{name}: allowed with --functional network")
        return None
    if others:
        fail("--functional network: allowed without --then")
    from accelsim.api.arrays import arrays_of
    from accelsim.execution.network import check_executable
    from accelsim.execution.outputs import check_output_folder

    if outputs is not None:
        check_output_folder(outputs)
    arrays = arrays_of(trace, inputs_of(trace, files))
    check_executable(machine, trace, arrays)
    return arrays


def inputs_of(trace: Trace, files: Sequence[str] | None) -> ArrayLike | dict[str, ArrayLike] | None:
    """The files of `--input`, by name where names are given."""
    names = [source.name for source in trace.manifest.inputs]
    named: dict[str, ArrayLike] = {}
    for text in files or ():
        name, equals, file = text.partition("=")
        if not equals or name not in names:
            if len(files or ()) == 1 and len(names) == 1:
                return text
            fail(f"--input: {text!r} names no input of trace {trace.name!r}; allowed: NAME=FILE.npy with NAME one of {', '.join(names)}")
        if name in named:
            fail(f"--input: {name!r} is given twice")
        named[name] = file
    return named or None


def with_execution(
    run: Result, arrays: dict[str, Any] | None, accelerator: Accelerator, trace: Trace, seed: int, progress: Progress | None
) -> tuple[Result, Execution | None]:
    """The run with the comparison of each product, and the executed network; as it is, and None, without arrays."""
    if arrays is None:
        return run, None
    from accelsim.api.execute import execute

    execution = execute(accelerator, trace, arrays or None, seed=seed, progress=progress or False)
    return replace(run, checked=execution.record.report), execution


def write_execution(execution: Execution | None, outputs: Path | None) -> None:
    """Write the outputs, if that is asked for."""
    if execution is not None and outputs is not None:
        execution.save(outputs)


def network_dict(execution: Execution | None) -> dict[str, Any]:
    """The key of `run --json` that describes an executed network."""
    return {} if execution is None else {"network": execution.to_dict()}


def print_execution(execution: Execution | None) -> None:
    """Samples, scales and outputs, a line each."""
    for line in execution.summary().splitlines() if execution is not None else ():
        print_line(line)
