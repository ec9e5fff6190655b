"""run --functional network: its input and outputs, the older spelling of the flag, and one sentence for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from accelsim.cli import app

RUN = ("run", "edge-32x32", "tiny_vit_ssvq")
NETWORK = (*RUN, "--functional", "network")


def call(*words: object, status: int = 0) -> str:
    outcome = CliRunner().invoke(app, [str(word) for word in words])
    assert outcome.exit_code == status, outcome.output
    return outcome.stdout if status == 0 else outcome.output


def test_a_lone_flag_means_layers_wherever_it_stands() -> None:
    rest = ("edge-32x32", "tiny_vit_ssvq", "-q")
    spellings = [("run", "--functional", *rest), ("run", *rest, "--functional"), ("run", *rest, "--functional", "layers")]
    assert len({call(*words) for words in spellings}) == 1
    assert "; bit-exact; " in call(*spellings[0])


def test_samples_of_a_file_are_executed_and_outputs_written(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(np.float32)
    shape = json.loads(call("inspect", "tiny_vit_ssvq", "--json"))
    assert shape  # the trace is there
    np.save(tmp_path / "x.npy", fitted(images))
    text = call(*NETWORK, "--input", tmp_path / "x.npy", "--outputs", tmp_path / "out")
    assert "network executed on 3 samples; not calibrated: scales cover these inputs" in text
    content = json.loads((tmp_path / "out" / "outputs.json").read_text())
    assert content["bit_exact"] is True
    (output,) = content["outputs"]
    integers = np.load(tmp_path / "out" / output["file"])
    assert integers.dtype == np.int8
    assert list(integers.shape) == output["shape"] == [3, 1, 1, 10]
    classes = integers.reshape(3, 10).argmax(axis=1)
    assert (
        f"{output['name']}: 1 x 1 x 10 integers of 8 bits, scale {output['scale']:.4g}; largest at {', '.join(map(str, classes))}" in text
    )
    named = call(*NETWORK, "--input", f"pixel_values={tmp_path / 'x.npy'}", "--outputs", tmp_path / "out", "--json")
    assert json.loads(named)["network"] == content  # and the earlier folder is replaced


def fitted(images: np.ndarray) -> np.ndarray:
    """Images of the tiny network's size."""
    from accelsim.presets import find_trace
    from accelsim.trace.trace import load_trace

    return np.resize(images, (len(images), *load_trace(find_trace("tiny_vit_ssvq")).manifest.inputs[0].shape.dims))


def test_an_input_is_drawn_from_the_seed() -> None:
    first, again, other = (call(*NETWORK, "--seed", seed).split("network executed")[1] for seed in (0, 0, 1))
    assert first == again != other


def test_an_overflow_is_named_and_ends_with_status_1() -> None:
    words = ("run", "edge-32x32", "tiny_vit_int8", "--functional", "network", "--set", "array.psum_bits=16", "-q")
    assert "overflows 16 bits" in call(*words, status=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*RUN, "--input", "x.npy"), "--input: allowed with --functional network"),
        ((*RUN, "--functional", "--outputs", "x"), "--outputs: allowed with --functional network"),
        ((*RUN, "--functional=whole"), "--functional has value 'whole'"),
        ((*NETWORK, "--then", "tiny_vit_int8"), "--functional network: allowed without --then"),
        ((*NETWORK, "--input", "none.npy"), "none.npy: cannot be read: No such file"),
        ((*NETWORK, "--input", "a=none.npy", "--input", "b.npy"), "'a=none.npy' names no input of trace 'tiny_vit_ssvq'"),
        ((*NETWORK, "--input", "pixel_values=a", "--input", "pixel_values=b"), "'pixel_values' is given twice"),
        ((*NETWORK, "--outputs", "/dev/null"), "/dev/null: is not a folder"),
        (("run", "edge-32x32", "tiny_vit_float", "--functional", "network"), "32-bit weights do not fit the 8-bit array"),
    ],
)
def test_mistakes_are_one_sentence_before_any_simulation(words: tuple[str, ...], message: str) -> None:
    text = call(*words, status=2)
    assert message in text
    assert len(text.strip().splitlines()) == 1


def test_a_wrong_shape_is_answered_with_the_right_one(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    text = call(*NETWORK, "--input", tmp_path / "x.npy", status=2)
    assert "input 'pixel_values' has shape (2, 2); allowed: (" in text
