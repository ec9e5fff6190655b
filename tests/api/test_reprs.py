"""Reprs: of few lines for all that the face hands out, and without a simulation."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim import what_if
from accelsim.api.display import REPR_LINES

IMAGE = np.random.default_rng(0).normal(size=(1, 3, 32, 32))
PAIR = ("edge-32x32", "tiny_vit_ssvq")
MOST = 4000  # characters
IN_FULL = {"to_dict", "to_frame", "summary"}  # data to work with, and text that is asked for


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An object of each public class."""
    run = accelsim.simulate(*PAIR, what_if=True, functional=True)
    return {
        "Result": run,
        "Comparison": accelsim.compare(run, accelsim.simulate("edge-32x32", "tiny_vit_int8")),
        "Trace": accelsim.load_trace("deit_tiny_ssvq_k16d8"),
        "Accelerator": accelsim.load_accelerator("edge-32x32"),
        "Cost": run.cost(),
        "Table": run.layers,
        "Execution": accelsim.execute(*PAIR),
        "FormatChoice": accelsim.choose_formats(
            "edge-32x32", "tiny_vit_float", ["uniform:bits=4", "vq:k=64,d=4"], IMAGE, milliseconds=0.02
        ),
        "SweepTable": accelsim.sweep("codebook", limit=2, workers=1, store=tmp_path_factory.mktemp("sweep") / "codebook.sqlite"),
        "AccelsimError": accelsim.AccelsimError("a message"),
    }


def test_each_public_class_has_its_object(handed_out: dict[str, Any]) -> None:
    classes = {name for name in accelsim.__all__ if isinstance(getattr(accelsim, name), type)}
    assert {type(item).__name__ for item in handed_out.values()} == handed_out.keys() == classes


def test_what_the_objects_offer_is_shown_in_few_lines(handed_out: dict[str, Any]) -> None:
    for kind, item in handed_out.items():
        shown = {kind: item}
        for name in () if kind in ("Accelerator", "AccelsimError", "Table") else dir(item):
            if name.startswith("_") or name in IN_FULL:
                continue
            value = getattr(item, name)
            if callable(value) and not inspect.isclass(value):
                needed = [part for part in inspect.signature(value).parameters.values() if part.default is part.empty]
                if needed:
                    continue
                value = value()
            parts = value if name == "results" else (value,)
            shown |= {f"{kind}.{name} {place}": part for place, part in enumerate(parts)}
        texts = {name: repr(value) for name, value in shown.items()}
        assert {name: text[:200] for name, text in texts.items() if len(text.splitlines()) > REPR_LINES or len(text) > MOST} == {}


def test_a_repr_simulates_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an idealization was simulated")

    run, other = accelsim.simulate(*PAIR), accelsim.simulate("edge-32x32", "tiny_vit_int8")
    both = accelsim.compare(run, other)
    monkeypatch.setattr(what_if, "what_if", fail)
    for shown in (repr(run), str(run), run._repr_html_(), repr(both)):
        assert "(estimated)" in shown
    assert both._repr_html_()
    monkeypatch.undo()
    assert "if free" in run.verdict
    assert run.verdict.split(";")[0] in repr(run).replace("\n", " ")  # once it is known
    assert run.verdict in repr(both)


def test_an_inspection_is_the_plain_data(handed_out: dict[str, Any]) -> None:
    found = handed_out["Trace"].inspect()
    assert dict(found) == handed_out["Trace"].to_dict()
    assert json.loads(json.dumps(found))["macs"] == found["macs"] == handed_out["Trace"].macs
    assert "layers       172 rows: layer, op, m, k, n, " in repr(found)
    assert "sha256" in found._repr_html_()
