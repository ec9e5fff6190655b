"""The layers built so far and the trained values that they read, in the trace's own orientation.

A weight that a model stores once and uses in several layers is stored for each of them here, because a trace's layer has its own
weights: a note says so. The trained values that a layer keeps must be finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from accelsim.errors import ImportModelError
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.imported_graph import Floats, ImportedGraph
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Array, Constant
from accelsim.wording import first_names

_LISTED = 5
Columns = tuple[int, int] | None  # of a matrix that is cut into several layers


class GraphRecorder:
    """Collects the trained values that layers read, by tensor name.

    Parameters
    ----------
    builder
        Takes the layers.
    trained
        Names of the model's trained tensors.
    keep_values
        True: the values are kept; False: shapes are enough, and the values may be stand-ins.
    """

    def __init__(self, builder: GraphBuilder, trained: frozenset[str], keep_values: bool) -> None:
        self.builder = builder
        self.trained = trained
        self.keep_values = keep_values
        self.used: set[str] = set()
        self._weights: dict[str, Floats] = {}
        self._constants: dict[str, dict[str, Floats]] = {}
        self._stored: dict[str, str] = {}
        self._owners: dict[tuple[str, Columns], list[str]] = {}
        self._notes: list[str] = []
        self._folded = 0

    def keep_weight(self, view: View, weights: Callable[[], Array], names: tuple[str, ...], columns: Columns = None) -> None:
        """Wt[K,N] of the layer that made `view`: all, or columns [first, stop), of what these tensors hold."""
        self._use(view, names, columns)
        if len(names) == 1 and columns is None:
            self._stored[view.producer] = names[0]
        if self.keep_values:
            self._weights[view.producer] = _finite(weights(), view, "weights")

    def keep_constant(self, view: View, name: str, values: Array, names: tuple[str, ...], columns: Columns = None) -> None:
        """A constant of the layer that made `view`, by the name that the layer gives it."""
        self._use(view, names, columns)
        if self.keep_values:
            self._constants.setdefault(view.producer, {})[name] = _finite(values.reshape(-1), view, name)

    def keep_folded(self, constants: Iterable[Constant], bias: int) -> None:
        """Constants that went into a layer besides its weights, of which the layer shows `bias` numbers."""
        constants = list(constants)
        self.used.update(name for constant in constants for name in constant.sources)
        trained = sum(constant.array.size for constant in constants if self.is_trained(constant.sources))
        self._folded += max(0, trained - bias)

    def is_trained(self, names: tuple[str, ...]) -> bool:
        """True if a value was computed from trained tensors, and from some."""
        return bool(names) and self.trained.issuperset(names)

    def note(self, text: str) -> None:
        """Add a remark for readers of the trace, once."""
        if text not in self._notes:
            self._notes.append(text)

    def graph(self, outputs: Mapping[str, View], unused: Iterable[str], read: dict[str, tuple[int, ...]] | None = None) -> ImportedGraph:
        """The imported graph, with outputs by the model's names."""
        interface, notes = self.builder.interface(outputs), self._all_notes()
        return ImportedGraph(
            self.builder, interface, self._weights, self._constants, tuple(sorted(unused)), read or {}, self._stored, notes
        )  # fmt: skip

    def _use(self, view: View, names: tuple[str, ...], columns: Columns) -> None:
        self.used.update(names)
        for name in self.trained.intersection(names):
            layers = self._owners.setdefault((name, columns), [])
            if view.producer not in layers:
                layers.append(view.producer)

    def _all_notes(self) -> tuple[str, ...]:
        folded = f"{self._folded:,} trained numbers are folded into weights and biases (batch norms, factors)"
        shared = [(name, layers) for (name, _), layers in self._owners.items() if len(layers) > 1]
        return (
            *((folded,) if self._folded else ()),
            *(
                f"{name!r} is stored once in the model, and for each of {first_names(layers, _LISTED)} in the trace"
                for name, layers in shared
            ),
            *self._notes,
        )


def _finite(values: Array, view: View, what: str) -> Floats:
    with np.errstate(over="ignore"):
        kept: Floats = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(kept).all():
        place = int(np.flatnonzero(~np.isfinite(kept.reshape(-1)))[0])
        raise ImportModelError(f"{what} of {view.producer!r}: value {place} is {kept.reshape(-1)[place]}; allowed: finite numbers")
    return kept
