"""Weights of a safetensors file on a graph: by name, all or nothing, and never from an incomplete file."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from accelsim.trace.trace import load_trace
from tests.importers.onnx_models import make, node, random, save

NODES = [
    node("MatMul", ["x", "onnx::MatMul_1"], ["h"], name="/fc1/MatMul"),
    node("Add", ["h", "fc1.bias"], ["g"]),
    node("Gemm", ["g", "fc2.weight"], ["y"]),
]
OLD = {"onnx::MatMul_1": random(8, 4), "fc1.bias": random(4), "fc2.weight": random(4, 3)}
NEW = {"fc1.weight": random(4, 8, seed=1), "fc1.bias": random(4, seed=1), "fc2.weight": random(4, 3, seed=1)}


def model(folder: Path) -> str:
    return save(make(NODES, (5, 8), OLD), folder)


def weights(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    path = folder / "w.safetensors"
    safetensors.numpy.save_file(tensors, path)
    return path


def raw(folder: Path, header: dict[str, Any], data: bytes) -> Path:
    """A file written by hand."""
    text = json.dumps(header).encode()
    path = folder / "w.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_tensors_go_to_initializers_and_turned_ones_to_layers(tmp_path: Path) -> None:
    path = weights(tmp_path, NEW)
    trace = import_model(model(tmp_path), weights=path)
    assert trace.weighted_layers()[0].name == "fc1"
    np.testing.assert_array_equal(trace.weights("fc1"), NEW["fc1.weight"].T)
    np.testing.assert_array_equal(trace.weights("fc2"), NEW["fc2.weight"])
    np.testing.assert_array_equal(trace.constant("fc1", "bias"), NEW["fc1.bias"])
    assert trace.manifest.source.model_dump() == {
        "kind": "checkpoint", "file": "w.safetensors", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }  # fmt: skip


def test_half_precision_is_taken(tmp_path: Path) -> None:
    halves = {name: value.astype(np.float16) for name, value in NEW.items()}
    trace = import_model(model(tmp_path), weights=weights(tmp_path, halves))
    np.testing.assert_array_equal(trace.weights("fc2"), halves["fc2.weight"].astype(np.float32))


def test_bfloat16_is_the_upper_half_of_float32(tmp_path: Path) -> None:
    upper = {name: (value.view(np.uint32) >> 16).astype("<u2") for name, value in NEW.items()}
    header, data = {}, b""
    for name, value in upper.items():
        header[name] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [len(data), len(data) + value.nbytes]}
        data += value.tobytes()
    trace = import_model(model(tmp_path), weights=raw(tmp_path, header, data))
    np.testing.assert_array_equal(trace.weights("fc2"), (upper["fc2.weight"].astype(np.uint32) << 16).view(np.float32))


def test_a_tensor_that_is_stored_once_takes_a_value_for_each_copy(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "a.weight"], ["h"]), node("Identity", ["a.bias"], ["b.bias"]), node("Add", ["h", "a.bias"], ["g"]),
        node("MatMul", ["g", "b.weight"], ["k"]), node("Add", ["k", "b.bias"], ["y"]),
    ]  # fmt: skip
    stored = {"a.weight": random(8, 4), "b.weight": random(4, 4), "a.bias": np.zeros(4, dtype=np.float32)}
    given = {name: random(*value.shape, seed=1) for name, value in stored.items()} | {"b.bias": random(4, seed=2)}
    trace = import_model(save(make(nodes, (5, 8), stored), tmp_path), weights=weights(tmp_path, given))
    for name in "ab":
        np.testing.assert_array_equal(trace.weights(name), given[f"{name}.weight"])
        np.testing.assert_array_equal(trace.constant(name, "bias"), given[f"{name}.bias"])


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({**NEW, "fc3.weight": random(2)}, r"1 unexpected \(fc3.weight\)"),
        ({"fc1.weight": NEW["fc1.weight"]}, r"2 missing \(fc1.bias, fc2.weight\)"),
        ({**NEW, "fc2.weight": random(3, 4)}, r"1 of another shape \(fc2.weight \(3, 4\) for \(4, 3\)\)"),
        ({**NEW, "fc1.bias": np.zeros(4, dtype=np.int32)}, r"'fc1.bias' has type I32; allowed: F32, F16, BF16"),
        ({**NEW, "fc1.bias": np.full(4, np.nan, dtype=np.float32)}, r"bias of 'fc1': value 0 is nan"),
    ],
)
def test_weights_that_do_not_fit_are_listed(tensors: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=message):
        import_model(model(tmp_path), tmp_path / "out", weights=weights(tmp_path, tensors))
    assert not (tmp_path / "out").exists()


def entry(first: int, stop: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, stop]}


HOSTILE = {
    "empty": b"",
    "a huge header": (1 << 60).to_bytes(8, "little") + b"{}",
    "no json": (2).to_bytes(8, "little") + b"!!",
    "deep": (200_000).to_bytes(8, "little") + b"[" * 200_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_not_whole_is_one_message(name: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ImportModelError, match="is not a complete safetensors file") as caught:
        import_model(model(tmp_path), weights=path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": entry(0, 16, [4])}, bytes(8)),
        ({"a": entry(0, 16, [4]), "b": entry(8, 24, [4])}, bytes(24)),
        ({"a": entry(0, 16, [1 << 40])}, bytes(16)),
        ({"a": entry(0, 16, [1 << 32, 1 << 32])}, bytes(16)),
        ({"a": entry(0, 16, [4], "F33")}, bytes(16)),
        ({"a": entry(16, 0, [4])}, bytes(16)),
    ],
)
def test_tensors_that_do_not_lie_in_the_file_are_refused(header: dict[str, Any], data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match="is not a complete safetensors file"):
        import_model(model(tmp_path), weights=raw(tmp_path, header, data))


def test_weights_and_a_seed_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match="without a seed"):
        import_model(model(tmp_path), weights=weights(tmp_path, NEW), seed=1)
    with pytest.raises(ImportModelError, match="no such file"):
        import_model(model(tmp_path), weights=tmp_path / "none.safetensors")


def test_the_command_binds_sizes_takes_weights_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = save(make(NODES, ("N", 8), OLD), tmp_path)
    run, out = CliRunner(), tmp_path / "out"
    free = run.invoke(app, ["import", path, "-o", str(out)])
    assert free.exit_code == 2
    assert "give --bind N=1" in free.stderr
    assert not out.exists()
    done = run.invoke(app, ["import", path, "-o", str(out), "--bind", "N=5", "--weights", str(weights(tmp_path, NEW)), "--json"])
    assert done.exit_code == 0
    loaded = load_trace(out)
    loaded.verify_payload()
    np.testing.assert_array_equal(loaded.weights("fc2"), NEW["fc2.weight"])


def test_a_seed_leaves_the_files_weights_out(tmp_path: Path) -> None:
    trace = import_model(model(tmp_path), seed=3)
    assert trace.manifest.source.kind == "seeded"
    assert not trace.has_payload
    assert trace.macs == 5 * 8 * 4 + 5 * 4 * 3


def test_a_sparse_file_beyond_the_memory_is_one_message(tmp_path: Path) -> None:
    size = 1 << 43  # sparse
    path = raw(tmp_path, {"fc1.bias": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}, b"")
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 36, 1 << 36))\n"
        "import sys\nfrom pathlib import Path\nfrom accelsim.errors import ImportModelError\n"
        "from accelsim.importers.weights_file import open_weights\n"
        "try:\n    open_weights(Path(sys.argv[1]))\nexcept ImportModelError as error:\n    sys.exit(str(error))\n"
    )
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size)
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "bytes do not fit in memory" in found.stderr
    assert found.stderr.count("\n") == 1
