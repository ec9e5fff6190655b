"""A model of tokens: calibration samples and samples of a choice are its tokens, which become the rows that its trace reads."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

import accelsim  # noqa: E402
from accelsim import finetune  # noqa: E402
from accelsim.errors import ConfigError  # noqa: E402

TOKENS = torch.randint(0, 20, (24, 6), generator=torch.Generator().manual_seed(0))


class Reader(torch.nn.Module):
    """Embedding, two linear layers over each token, and classes from the first token."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(20, 16)
        self.blocks = torch.nn.ModuleList(torch.nn.Linear(16, 16) for _ in range(2))
        self.head = torch.nn.Linear(16, 4)

    def forward(self, tokens):
        rows = self.table(tokens)
        for block in self.blocks:
            rows = torch.relu(block(rows))
        return self.head(rows[:, 0])


def rows(model) -> np.ndarray:
    """The table's rows by hand."""
    return model.table.weight.detach().numpy()[TOKENS.numpy()]


def test_the_scales_of_a_model_of_tokens_are_those_of_its_rows() -> None:
    model = finetune.prepare(Reader(), "vq:k=16,d=4", example=TOKENS[:1])
    found = finetune.export(model, TOKENS[:1], calibration=TOKENS, method="max")
    meant = finetune.export(model, TOKENS[:1]).calibrate(rows(model), "max")
    assert found.record.manifest.calibration == meant.record.manifest.calibration is not None
    (outputs,) = accelsim.execute("mcu-16x16", found, rows(model)).outputs.values()
    with torch.no_grad():
        reference = model(TOKENS).numpy()
    agreement = outputs.reshape(reference.shape).argmax(1) == reference.argmax(1)
    assert agreement.mean() >= 0.9


def test_formats_of_a_model_of_tokens_are_chosen_on_its_tokens() -> None:
    model, formats = Reader(), ["uniform:bits=2", "uniform:bits=4"]
    found = finetune.choose_formats(model, "mcu-16x16", formats, TOKENS)
    source = accelsim.import_model(torch.export.export(model.eval(), (TOKENS[:1],)), name="model")
    meant = accelsim.choose_formats("mcu-16x16", source, formats, rows(model))
    assert found.to_dict() == meant.to_dict()


def test_no_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model: null is of type NoneType; allowed: a torch\.nn\.Module"):
        finetune.choose_formats(None, "mcu-16x16", ["uniform:bits=4"], TOKENS)
