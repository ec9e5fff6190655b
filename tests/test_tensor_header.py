"""A safetensors header that names a million tensors is refused by each of its readers, before anything reads it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import accelsim
from accelsim.errors import AccelsimError
from accelsim.importers.weights_file import open_weights
from accelsim.presets import find_trace
from accelsim.tensor_header import LARGEST_HEADER
from accelsim.trace.trace import load_trace

MANY = LARGEST_HEADER // 56  # an entry below has 57 bytes and more


def write_bomb(path: Path) -> int:
    """A valid file of empty tensors; its size."""
    entries = ",".join(f'"t{number}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for number in range(MANY))
    header = f"{{{entries}}}".encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path.stat().st_size


def as_weights(folder: Path) -> None:
    write_bomb(folder / "w.safetensors")
    open_weights(folder / "w.safetensors")


def as_arrays(folder: Path) -> None:
    write_bomb(folder / "a.safetensors")
    accelsim.compress("tiny_vit_float", "ssvq:k=16,d=8", arrays=folder / "a.safetensors")


def as_payload(folder: Path) -> None:
    trace = shutil.copytree(find_trace("tiny_vit_ssvq"), folder / "trace")
    manifest = json.loads((trace / "trace.json").read_text())
    manifest["payload"]["bytes"] = write_bomb(trace / "tensors.safetensors")
    (trace / "trace.json").write_text(json.dumps(manifest))
    load_trace(trace)


@pytest.mark.parametrize("read", [as_weights, as_arrays, as_payload])
def test_a_header_of_too_many_tensors_is_refused_unread(read: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises(AccelsimError, match=r"safetensors: its header has 1\d,\d{3},\d{3} bytes; allowed: 16,777,216$"):
        read(tmp_path)
