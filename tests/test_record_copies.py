"""A copy of a record with changed fields is validated, whichever method makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import accelsim
from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.errors import ConfigError, FormatError, TraceError
from accelsim.formats.catalog import parse_format
from accelsim.ops.shapes import TensorShape
from accelsim.ops.weight_record import WeightRecord
from accelsim.records import FrozenModel
from tests.tiny_machines import tiny_accelerator, tiny_encoder

CHIP = tiny_accelerator()
LAYER = tiny_encoder(5, 8, 2, 12, "ssvq:16,2").weighted_layers()[0]

COPIES: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "with_fields": lambda record, update: record.with_fields(**update),
    "model_copy": lambda record, update: record.model_copy(update=update),
    "deep model_copy": lambda record, update: record.model_copy(update=update, deep=True),
    "copy": lambda record, update: record.copy(update=update),
    "copy.replace": lambda record, update: record.__replace__(**update),  # as Python 3.13 does it
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize(
    ("record", "update", "message"),
    [
        (CHIP, {"clock": 5}, "greater than or equal to 1000000|copy of Accelerator: field `clock`: must be at least 1,000,000"),
        (CHIP, {"codebook": CHIP.codebook.with_fields(codeword_length=64)}, "must divide array.cols"),
        (CHIP.array, {"row": 8}, "Extra inputs are not permitted|field `row`: unknown field; allowed: rows, cols"),
        (CHIP.dram, {"latency": 20}, "allowed: ps, ns, us, ms, s"),
        (TensorShape(rows=1, width=1), {"rows": "2"}, "should be a valid integer"),
        (TensorShape(rows=1, width=1), {"rows": 1 << 24, "width": 1 << 24}, "allowed: at most"),
        (LAYER, {"name": ""}, "at least 1 character"),
        (LAYER.weight, {"n": 0}, "greater than or equal to 1"),
        (LAYER.weight, {"n": 7}, "ssvq"),
        (parse_format("uniform:bits=8"), {"bits": 99}, "less than or equal to"),
    ],
)
def test_a_copy_refuses_what_the_record_refuses(record: Any, update: dict[str, Any], message: str, copied: Any) -> None:
    with pytest.raises((ValidationError, ConfigError, TraceError, FormatError), match=message):
        copied(record, update)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_changes_the_fields_that_are_named_and_no_other(copied: Any) -> None:
    chip = load_accelerator("edge-64x64")
    other = copied(chip, {"name": "other", "clock": "900 MHz"})
    assert (other.name, other.clock) == ("other", 900_000_000)
    assert copied(other, {"name": chip.name, "clock": chip.clock}) == chip
    assert copied(chip.dma, {"max_transfers": 1}).fabric_latency == chip.dma.fabric_latency  # has a unit in files
    record = copied(LAYER.weight, {"k": 16})
    assert isinstance(record, WeightRecord)
    assert (record.k, record.n, record.format) == (16, LAYER.weight.n, LAYER.weight.format)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "mine"}, r"^Accelerator: field `clock`: is missing, and has no default\n"),
        ({**CHIP.writable(), "clok": 3}, r"^Accelerator: field `clok`: unknown field; allowed: name, .* did you mean 'clock'\?$"),
        ({**CHIP.writable(), "clock": "fast"}, r"^Accelerator: field `clock`: 'fast' is not a frequency; allowed: .* \(got 'fast'\)$"),
    ],
)
def test_a_chip_that_is_made_by_a_call_is_refused_in_words(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Accelerator(**fields)
    assert "pydantic" not in str(caught.value)


def test_a_chip_is_made_by_a_call_from_its_own_fields() -> None:
    assert Accelerator(**CHIP.writable()) == CHIP


def test_a_copy_without_changes_is_equal() -> None:
    for record in (CHIP, CHIP.dram, LAYER, LAYER.weight.format):
        assert record is not None
        assert record.model_copy() == record.model_copy(deep=True) == record.copy() == record


def models() -> Iterator[type[BaseModel]]:
    for module in walk_packages(accelsim.__path__, "accelsim."):
        if not any(part in module.name for part in (".__main__", ".from_", ".finetune")):  # some need an extra
            for found in vars(import_module(module.name)).values():
                if isinstance(found, type) and issubclass(found, BaseModel) and found.__module__ == module.name:
                    yield found


def test_every_model_of_the_package_is_copied_so() -> None:
    found = list(models())
    assert len(found) > 30
    assert [model for model in found if not issubclass(model, FrozenModel)] == []
