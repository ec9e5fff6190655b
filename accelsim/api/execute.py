"""Execute a network on inputs as a chip computes it; the command line's `run --functional network` calls the same function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.api.arrays import ArrayLike, arrays_of
from accelsim.api.checks import check_flags, count_of
from accelsim.api.display import html_table, watched
from accelsim.api.inputs import AcceleratorLike, Overrides, accelerator_of, fitted
from accelsim.api.paths import path_of
from accelsim.api.table import Table
from accelsim.api.trace import TraceLike, trace_of
from accelsim.execution import network
from accelsim.execution.outputs import outputs_dict, write_outputs
from accelsim.ops.grid import Grid
from accelsim.progress import Progress
from accelsim.report.findings import functional_rows
from accelsim.report.tables.text import count


@dataclass(frozen=True, repr=False, eq=False)
class Execution:
    """A network that was executed in integers: its outputs, their scales, and whether the array computed each product right.

    Attributes
    ----------
    record : the execution as the engine returned it
    """

    record: network.Execution

    @property
    def outputs(self) -> dict[str, npt.NDArray[np.float32]]:
        """The network's outputs by the model's names, float32: integers times scale.

        One sample has the model's shape and order; several lie along its leading dimension where that is 1, else along one before it.
        A trace that records no `interface` has its own: (samples, groups, rows, width) by the names of layers.
        """
        return {name: grid.real(self.record.outputs[name]).astype(np.float32) for name, grid in self._grids.items()}

    @property
    def integers(self) -> dict[str, npt.NDArray[Any]]:
        """The same as the chip holds them: int8, int16 or int32."""
        return self.record.outputs

    @property
    def scales(self) -> dict[str, float]:
        """Scale of every activation by name of its layer or input."""
        return {name: grid.scale for name, grid in self.record.grids.items()}

    @property
    def scale_rule(self) -> str:
        """Where the scales come from: the trace's calibration, or these inputs."""
        return self.record.scale_rule

    @property
    def samples(self) -> int:
        """Inputs that were executed."""
        return self.record.samples

    @property
    def bit_exact(self) -> bool:
        """Whether every product that the array computed is right; an overflow of an accumulator is not."""
        return self.record.report.ok

    @property
    def layers(self) -> Table:
        """One row per product: its tiles and its comparison with the twin."""
        return Table(f"Execution of {self.record.trace.name}", functional_rows(self.record.report))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the integers as plain data: the content of `outputs.json`."""
        return outputs_dict(self.record)

    def save(self, folder: str | Path) -> Path:
        """Write the outputs: integers as `.npy`, scales in `outputs.json`; AccelsimError if something else is there."""
        return write_outputs(path_of("folder", folder), self.record)

    def summary(self) -> str:
        """Samples, scales and outputs, a line each."""
        lines = [f"network executed on {count(self.samples)} sample{'s' if self.samples > 1 else ''}; {self.scale_rule}"]
        return "\n".join([*lines, *(f"{name}: {text}" for name, text in self._facts())])

    def _facts(self) -> list[tuple[str, str]]:
        return [(name, self._described(self._grids[name], integers)) for name, integers in self.record.outputs.items()]

    @property
    def _grids(self) -> dict[str, Grid]:
        """Grid of every output."""
        return {name: self.record.grids[layer] for name, layer in self.record.layers.items()}

    def _described(self, grid: Grid, integers: npt.NDArray[Any]) -> str:
        shape = (integers.shape if self.samples == 1 else integers.shape[1:]) or (1,)
        text = f"{' x '.join(map(str, shape))} integers of {grid.bits} bits, scale {grid.scale:.4g}"
        width = integers.size // self.samples
        if width not in shape or width == 1:
            return text
        shown = integers.reshape(self.samples, width).argmax(axis=1)[:_SHOWN].tolist()
        return f"{text}; largest at {', '.join(map(str, shown))}{', ...' if self.samples > _SHOWN else ''}"

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return html_table("Execution", [("samples", count(self.samples)), ("scales", self.scale_rule), *self._facts()])


_SHOWN = 8  # samples whose largest element is named


def execute(
    accelerator: AcceleratorLike,
    trace: TraceLike,
    input: ArrayLike | Mapping[str, ArrayLike] | None = None,
    *,
    set: Overrides | None = None,
    fit_codebook: bool = False,
    seed: int = 0,
    progress: bool | Progress = False,
) -> Execution:
    """Compute a network's outputs as a chip does: integers from layer to layer.

    Products are decoded out of the weight image and added up at the accumulators' width; vector operations are their integer twins.

    Parameters
    ----------
    accelerator : a preset's name, a YAML file, a mapping of fields, or an `Accelerator`
    trace : a name, a trace's directory, NAME@FORMAT, or a `Trace`
    input
        An array in the model's shape, or (groups, rows, width) of the trace; several samples lie along the leading dimension of 1, or
        along one before it. Or the path of a '.npy' file, or a mapping of names to them where the network has several inputs. Floats are
        quantized, integers are taken as they are; None: one sample drawn from `seed`.
    set : fields of the chip to override: {'array.psum_bits': 24} or ['array.psum_bits=24']
    fit_codebook : give the chip the codebook that the trace asks for
    seed : of an input that is drawn
    progress : True for a bar in a terminal, or a function that is called with (phase, done, total)

    Raises
    ------
    AccelsimError
        An unknown name, an input of another shape or type, a network that does not fit the chip or cannot be executed.
    """
    check_flags(fit_codebook=fit_codebook)
    machine, source, seed = accelerator_of(accelerator, set), trace_of(trace), count_of("seed", seed, 0)
    if fit_codebook:
        machine = fitted(machine, source)
    with watched(progress) as update:
        return Execution(network.execute(machine, source, arrays_of(source, input), seed=seed, progress=update))
