"""Fine-tuning of a PyTorch model in a compressed format: float model in, packed trace out. Needs the extra `[torch]`.

    from accelsim import finetune

    finetune.prepare(model, "ssvq:k=16,d=8")
    finetune.finetune(model, images, labels, settings=finetune.Settings(epochs=8), checkpoint="run.pt")
    trace = finetune.export(model, images[:1], out="my_ssvq")

`prepare` replaces the weight of each `nn.Linear` and `nn.Conv2d` by a function of trainable tensors, `finetune` trains these, and `export`
writes the bits for which the model's weights stand, exactly. The names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from accelsim.finetune.choosing import choose_formats as choose_formats
    from accelsim.finetune.distillation import distilled as distilled
    from accelsim.finetune.exporting import export as export
    from accelsim.finetune.freezing import Freezing as Freezing
    from accelsim.finetune.prepared import PreparedLayer as PreparedLayer
    from accelsim.finetune.prepared import prepare as prepare
    from accelsim.finetune.prepared import prepared_layers as prepared_layers
    from accelsim.finetune.settings import Settings as Settings
    from accelsim.finetune.training import Training as Training
    from accelsim.finetune.training import finetune as finetune

_HOMES = {
    "prepare": "accelsim.finetune.prepared",
    "prepared_layers": "accelsim.finetune.prepared",
    "finetune": "accelsim.finetune.training",
    "choose_formats": "accelsim.finetune.choosing",
    "distilled": "accelsim.finetune.distillation",
    "export": "accelsim.finetune.exporting",
    "Settings": "accelsim.finetune.settings",
    "Freezing": "accelsim.finetune.freezing",
    "Training": "accelsim.finetune.training",
    "PreparedLayer": "accelsim.finetune.prepared",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562); ConfigError without PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec("torch") is None:
        from accelsim.errors import ConfigError

        raise ConfigError("fine-tuning needs PyTorch; install accelsim with its extra: pip install 'accelsim[torch]'")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
