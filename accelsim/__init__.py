"""A cycle-level simulator of an edge NPU that runs vector-quantized networks: the Python face.

    import accelsim

    int8 = accelsim.simulate("edge-64x64", "deit_tiny_int8")
    ssvq = accelsim.simulate("edge-64x64", "deit_tiny_ssvq_k16d8")
    print(ssvq.summary(), accelsim.compare(int8, ssvq).summary(), sep="\\n")
    ssvq.plot.layers(file="layers.svg")

Start with `simulate` and `compare`; `sweep` runs many designs; `import_model` and `compress` make traces of your own. Chips, traces and
technologies are given by name, by path or as objects. Every error is an `AccelsimError` with one sentence for a person.

The names below are public and are loaded when they are first used. The modules underneath can be imported by their paths, but may
change between versions.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # `typing` would be the slowest import of all
if TYPE_CHECKING:
    from typing import Any

    from accelsim.accelerator import Accelerator as Accelerator
    from accelsim.api.comparison import Comparison as Comparison
    from accelsim.api.comparison import compare as compare
    from accelsim.api.cost import Cost as Cost
    from accelsim.api.execute import Execution as Execution
    from accelsim.api.execute import execute as execute
    from accelsim.api.format_choice import FormatChoice as FormatChoice
    from accelsim.api.format_choice import choose_formats as choose_formats
    from accelsim.api.inputs import load_accelerator as load_accelerator
    from accelsim.api.models import compress as compress
    from accelsim.api.models import import_model as import_model
    from accelsim.api.result import Result as Result
    from accelsim.api.result import load_result as load_result
    from accelsim.api.simulate import simulate as simulate
    from accelsim.api.sweep import SweepTable as SweepTable
    from accelsim.api.sweep import sweep as sweep
    from accelsim.api.table import Table as Table
    from accelsim.api.trace import Trace as Trace
    from accelsim.api.trace import load_trace as load_trace
    from accelsim.errors import AccelsimError as AccelsimError

__version__ = "0.1.0"

_HOMES = {
    "simulate": "accelsim.api.simulate",
    "compare": "accelsim.api.comparison",
    "sweep": "accelsim.api.sweep",
    "execute": "accelsim.api.execute",
    "load_accelerator": "accelsim.api.inputs",
    "load_trace": "accelsim.api.trace",
    "load_result": "accelsim.api.result",
    "import_model": "accelsim.api.models",
    "compress": "accelsim.api.models",
    "choose_formats": "accelsim.api.format_choice",
    "Accelerator": "accelsim.accelerator",
    "Trace": "accelsim.api.trace",
    "Result": "accelsim.api.result",
    "Comparison": "accelsim.api.comparison",
    "SweepTable": "accelsim.api.sweep",
    "Execution": "accelsim.api.execute",
    "FormatChoice": "accelsim.api.format_choice",
    "Cost": "accelsim.api.cost",
    "Table": "accelsim.api.table",
    "AccelsimError": "accelsim.errors",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `import accelsim` costs nothing (PEP 562)."""
    if name == "finetune":
        return import_module("accelsim.finetune")  # a part of its own, with the extra [torch]
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
