"""The example of two networks in turn: one codebook in ROM is never loaded, those of the layers are, in every turn."""

from __future__ import annotations

from pathlib import Path

import numba
import pytest

from accelsim.trace.trace import load_trace
from notebooks.examples.two_networks import codebook_bytes, compare, main

TRACE = Path(__file__).parents[2] / "traces" / "tiny_vit_float"

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


def test_a_shared_codebook_is_never_loaded_and_own_ones_are_in_every_turn() -> None:
    shared, own = compare(load_trace(TRACE), "edge-32x32", 16)
    # 12 matrices in blocks, each with a codebook of 16 x 8 int8
    assert [codebook_bytes(frame) for frame in shared.result.frames] == [0] * 4
    assert [codebook_bytes(frame) for frame in own.result.frames] == [12 * 16 * 8] * 4
    assert own.result.bus_bytes >= shared.result.bus_bytes + 4 * 12 * 16 * 8
    assert own.energy_uj > shared.energy_uj


def test_it_prints_a_line_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tiny_vit_float", "edge-32x32", "16"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["universal_vq:k=16,d=8", "vq:k=16,d=8"]
    assert max(map(len, lines)) <= 110
