"""Codebooks of the layers' own on a chip with a ROM: allowed, and the result says what that means."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.open_trace import open_trace
from accelsim.simulation import simulate


@pytest.mark.parametrize(
    ("trace", "store", "warned"),
    [
        ("tiny_vit_ssvq", "rom", True),
        ("tiny_vit_ssvq", "ram", False),
        ("tiny_vit_int8", "rom", False),
        ("tiny_vit_float@universal_vq:k=256,d=8", "rom", False),
    ],
)
def test_a_rom_that_would_have_to_hold_many_codebooks_is_a_warning(trace: str, store: str, warned: bool) -> None:
    result = simulate(load_accelerator("edge-32x32", [f"codebook.store={store}"]), open_trace(trace))
    assert any("the area is that of one" in text for text in result.warnings) == warned
