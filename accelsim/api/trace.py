"""A network as users get it: its layers, its weights as floats, and its bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.api.arrays import ArrayLike, arrays_of
from accelsim.api.checks import check_text, wrong_type
from accelsim.api.display import html_table, rendered, watched
from accelsim.api.inspection import Inspection
from accelsim.api.paths import path_of, path_text
from accelsim.api.table import Table
from accelsim.compression.compress_trace import materialize
from accelsim.compression.compression_report import CompressionReport
from accelsim.compression.encoder import reconstruct
from accelsim.compression.open_trace import open_float_trace, open_trace
from accelsim.errors import ConfigError
from accelsim.execution.calibration import METHODS, Method, calibrate
from accelsim.execution.inputs import checked_inputs
from accelsim.progress import Progress
from accelsim.report.tables.text import count
from accelsim.report.tables.trace import inspect_trace, render_trace, trace_rows
from accelsim.trace import trace as core
from accelsim.trace.layers import Layer
from accelsim.wording import shown

_SHOWN_LAYERS = 10  # of a network


class Layers(tuple[Layer, ...]):
    """Layers in topological order, shown by name, operation and output."""

    def __repr__(self) -> str:
        shown_first = [f"  {layer.name}: {layer.op}, output {' x '.join(map(str, layer.output.dims))}" for layer in self[:_SHOWN_LAYERS]]
        more = [f"  and {len(self) - _SHOWN_LAYERS} more"] if len(self) > _SHOWN_LAYERS else []
        return "\n".join([f"<{len(self)} layers", *shown_first, *more]) + ">"


@dataclass(frozen=True, repr=False)
class Trace:
    """A network: a graph of layers, and the bits of its weights where they are stored.

    Attributes
    ----------
    record : the trace as the simulator reads it
    report : the effect of `compress` on each layer; None for a trace that it did not just make
    """

    record: core.Trace
    report: CompressionReport | None = None

    @property
    def name(self) -> str:
        """Name of the trace."""
        return self.record.name

    @property
    def layers(self) -> Layers:
        """Layers in topological order, a tuple of records with `name`, `op`, `macs`, `parameters` and `output`."""
        return Layers(self.record.layers)

    @property
    def weighted_layers(self) -> tuple[str, ...]:
        """Names of the layers that have weights, in order."""
        return tuple(layer.name for layer in self.record.weighted_layers())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return self.record.macs

    @property
    def parameters(self) -> int:
        """Trained numbers of all layers."""
        return self.record.parameters

    @property
    def source(self) -> str:
        """Origin of the weights: 'seeded', or 'checkpoint' for those of a model."""
        return self.record.manifest.source.kind

    def weights(self, layer: str) -> npt.NDArray[np.float32]:
        """The dequantized weights of a layer, scales applied.

        Returns
        -------
        float32 [K, N]: K inputs (of a convolution: channels x taps), N outputs.

        Raises
        ------
        AccelsimError
            No such layer, a layer without weights, a trace whose bits are not stored, or bits that differ from their checksum.
        """
        check_text("layer", layer, "a layer's name")
        self.record.layer(layer)  # a wrong name is answered before missing bits
        self.record.required_payload(layer)
        arrays = self.record.arrays(layer)
        weight = next(item.weight for item in self.record.weighted_layers() if item.name == layer)
        return reconstruct(weight.format, arrays, weight.k, weight.n).astype(np.float32)

    def inspect(self) -> Inspection:
        """Shapes, formats, bits and, of stored bits, codebook statistics: a dict, the content of `accelsim inspect --json`."""
        return Inspection(inspect_trace(self.record))

    def compression(self) -> Table:
        """Bits per weight and error of each layer and of all ('total'); without rows for a trace that `compress` did not just make."""
        rows = [] if self.report is None else [item.to_dict() for item in (*self.report.layers, self.report.total)]
        return Table(f"Compression of {self.name}", rows)

    def regenerate(self, *, progress: bool | Progress = False) -> Trace:
        """The same trace with its bits made again; AccelsimError for one that is not seeded."""
        with watched(progress) as update:
            return Trace(materialize(self.record, update), self.report)

    def calibrate(self, input: ArrayLike | Mapping[str, ArrayLike], method: Method = "mse", *, progress: bool | Progress = False) -> Trace:
        """The same trace with scales of its activations, measured on samples: `execute` quantizes by them.

        Parameters
        ----------
        input : floats, as `execute` takes them: (samples, groups, rows, width), or a mapping of names to them
        method : 'max', 'percentile' (99.99 of the magnitudes) or 'mse', the least squared error

        Raises
        ------
        AccelsimError
            An unknown method, an input of another shape or type, or weights or constants that are not stored.
        """
        if method not in METHODS:
            raise ConfigError(f"method has value {shown(method)}; allowed: {', '.join(METHODS)}")
        bare = core.with_calibration(self.record, None)
        with watched(progress) as update:
            arrays = checked_inputs(bare, arrays_of(bare, input), 0)
            return Trace(core.with_calibration(bare, calibrate(materialize(bare, update), arrays, method, update)), self.report)

    def save(self, folder: str | Path) -> Path:
        """Write the trace's directory; AccelsimError if something else is there or it cannot be written."""
        return core.save_trace(self.record, path_of("folder", folder))

    def summary(self) -> str:
        """The tables of `accelsim inspect` as text."""
        return rendered(lambda console: render_trace(console, self.record))

    def to_dict(self) -> dict[str, Any]:
        """The content of `inspect` as a plain dict."""
        return inspect_trace(self.record)

    def to_frame(self) -> Any:
        """One row per layer as a `pandas.DataFrame`: shape, work, format, bits; AccelsimError without pandas."""
        return Table(self.name, trace_rows(self.record)).to_frame()

    def _facts(self) -> tuple[tuple[str, str], ...]:
        formats = dict.fromkeys(layer.weight.format.kind for layer in self.record.weighted_layers())
        return (
            ("layers", count(len(self.layers))),
            ("MACs", count(self.macs)),
            ("parameters", count(self.parameters)),
            ("formats", ", ".join(formats)),
            ("weights", f"{self.source}, {'stored' if self.record.has_payload else 'not stored'}"),
        )

    def __repr__(self) -> str:
        return f"<Trace {self.name}: {', '.join(f'{what} {value}' for what, value in self._facts())}>"

    def _repr_html_(self) -> str:
        return html_table(f"Trace {self.name}", self._facts())


TraceLike = str | Path | Trace | core.Trace


def load_trace(trace: TraceLike) -> Trace:
    """The network of a name, of a trace's directory, or the shapes of one in a format, or at a step (NAME@FORMAT@step:context=99).

    Parameters
    ----------
    trace : 'deit_tiny_int8', 'path/to/directory', or 'deit_tiny_float@ssvq:k=16,d=8', which has no bits; of a language model also a step of
        some tokens after others in its cache, 'llama_1b_float@uniform:bits=4@step:tokens=1,context=2048'

    Raises
    ------
    AccelsimError
        There is no such trace, it cannot be read, or the format does not fit.
    """
    return trace if isinstance(trace, Trace) else Trace(trace_of(trace))


def trace_of(source: TraceLike) -> core.Trace:
    """The simulator's record of a trace argument."""
    return _record(source, open_trace)


def float_trace_of(source: TraceLike) -> core.Trace:
    """The same for a trace to compress: NAME@FORMAT has no weights to encode."""
    return _record(source, open_float_trace)


def _record(source: TraceLike, read: Callable[[str], core.Trace]) -> core.Trace:
    if isinstance(source, Trace):
        return source.record
    if isinstance(source, core.Trace):
        return source
    if not isinstance(source, str | Path):
        raise wrong_type("trace", source, "a trace's name, the path of its directory, NAME@FORMAT or a Trace")
    return read(path_text("trace", source))
