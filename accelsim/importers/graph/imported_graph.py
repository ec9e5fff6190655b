"""The result of walking a model: its layers and the trained values that they read, in the trace's orientation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from accelsim.importers.graph.builder import GraphBuilder
from accelsim.trace.interface import Interface

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ImportedGraph:
    """Layers and trained values of a model.

    Attributes
    ----------
    interface
        The model's inputs and outputs, and the layers that hold them.
    weights
        Wt[K,N] by layer, float32; empty unless kept.
    constants
        Bias, gamma, ... by layer and name, float32, 1-D; empty unless kept.
    unused
        Parameters that no layer reads.
    read
        Shapes of the floating-point tensors of the file that the layers read, by name (ONNX).
    stored
        The initializer that holds exactly a layer's weights (turned or not), by layer.
    notes
        Remarks for readers of the trace.
    """

    builder: GraphBuilder
    interface: Interface
    weights: dict[str, Floats]
    constants: dict[str, dict[str, Floats]]
    unused: tuple[str, ...]
    read: dict[str, tuple[int, ...]] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
