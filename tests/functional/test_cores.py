"""Several cores: each decodes an image of its own, every format bit-exact, and what is wrong names the core that has it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.codebook_fit import codebook_overrides
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.image import LayerImage
from accelsim.formats.catalog import format_examples, parse_format
from accelsim.functional import check_functional
from accelsim.trace.trace import Trace
from tests.packed_products import packed_product
from tests.tiny_convnets import every_layer
from tests.tiny_machines import tiny_accelerator

TEXTS = [text for text in format_examples() if parse_format(text).decode_path().lane_bits <= 8]


def chip(trace: Trace, split: str, cores: int = 2) -> Accelerator:
    more = [f"cores={cores}", f"control.core_split={split}"]
    return load_accelerator("edge-64x64", [*codebook_overrides(load_accelerator("edge-64x64"), trace), *more])


@pytest.mark.parametrize("text", TEXTS)
def test_each_core_decodes_its_own_stripes_of_every_format(text: str) -> None:
    trace = packed_product(text, 2, max(128, parse_format(text).k_step), 160)  # three stripes, of which the last is half one
    images: list[int] = []

    def note(_: str, image: LayerImage) -> LayerImage:
        images.append(image.first_bits.shape[0])
        return image

    (layer,) = check_functional(chip(trace, "stripes"), trace, tamper=note).layers
    assert layer.ok
    assert images == [2, 1]  # stripes of each image: no core reads one that another core has


@pytest.mark.parametrize("split", ["stripes", "rows", "cheapest"])
@pytest.mark.parametrize("cores", [2, 3, 4])
def test_networks_are_bit_exact_however_they_are_split(split: str, cores: int) -> None:
    machine = tiny_accelerator(cores=cores, control={"core_split": split}, codebook__codeword_length=4)
    assert check_functional(machine, every_layer().trace("ssvq:k=8,d=4", "conv[234]")).ok


@pytest.mark.parametrize("split", ["stripes", "rows"])
def test_networks_in_tiles_are_bit_exact(split: str) -> None:
    machine = tiny_accelerator(cores=2, control={"core_split": split}, codebook__codeword_length=4, activation_buffer__capacity=400)
    trace = every_layer().trace("ssvq:k=8,d=4", "conv[234]")
    assert "row_tiles" in compile_trace(machine, trace).choices
    assert check_functional(machine, trace).ok


def test_a_flipped_bit_names_the_core_whose_image_has_it() -> None:
    trace = packed_product("uniform:bits=8", 5, 8, 16)
    seen: list[str] = []

    def flip_in_the_second(name: str, image: LayerImage) -> LayerImage:
        seen.append(name)
        data = image.data.copy()
        data[0] ^= np.uint8(len(seen) == 2)
        return replace(image, data=data)

    report = check_functional(tiny_accelerator(cores=2, control={"core_split": "stripes"}), trace, tamper=flip_in_the_second)
    assert not report.ok
    assert "core 1, tile (nt=0, kt=0): weight [0,0] decodes to" in report.layers[0].message
