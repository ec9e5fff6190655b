"""Sparse tiles: masked layers in the same cycles with fewer multipliers, other weights in passes, and what is refused."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.cost.action_counts import LOOKUP, MAC, MASK, ROUTE, SHADOW_WRITE, Action, add_counts, count_actions
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.span import Span
from accelsim.cost.technology import load_technology
from accelsim.errors import CompileError, ConfigError
from accelsim.functional import check_functional
from accelsim.ops.shapes import TensorShape
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_machine_twin import compare
from tests.functional.test_functional import conv, gemm_trace, network
from tests.tiny_machines import gemm_chain, tiny_accelerator, tiny_encoder

NODE = load_technology("nangate45")
MASKED = "masked:16,4,1,2"  # 1 of each 2 neighbours


def chip(tile: bool = True, **fields: object) -> Accelerator:
    """4 x 8 PEs in tiles of 4 columns with 2 multipliers per row; weights without masks find 4 columns per pass."""
    array: dict[str, object] = {"rows": 4, "cols": 8, "max_m": 8}
    if tile:
        array["sparse_tile"] = {"d": 4, "q": 2}
    codebook = {"ports": 2, "codeword_length": 4, "codewords": 64, "mask": {"keep": 1, "of": 2}}
    return tiny_accelerator(**{"array": array, "codebook": codebook, **fields})


def counts_of(accelerator: Accelerator, trace: Trace) -> list[dict[Action, Span]]:
    return [add_counts([counts]) for counts in count_actions(simulate(accelerator, trace), accelerator)]


def test_masked_layers_take_the_cycles_of_a_dense_array_and_multiply_what_is_kept() -> None:
    trace = gemm_chain(5, [8, 24, 16], [MASKED, MASKED], ["gelu", ""])
    sparse, dense = simulate(chip(), trace), simulate(chip(tile=False), trace)
    assert sparse.frames == dense.frames
    kept, every = counts_of(chip(), trace), counts_of(chip(tile=False), trace)
    for ours, theirs in zip(kept, every, strict=True):
        if MAC in theirs:
            assert ours[MAC].nominal == theirs[MAC].nominal / 2
            assert ours[ROUTE].nominal == ours[MAC].nominal
            assert ours[SHADOW_WRITE].nominal == theirs[SHADOW_WRITE].nominal / 2
            assert ours[MASK].nominal == theirs[MASK].nominal == ours[LOOKUP].nominal * 4 / 2  # two numbers a codeword
            assert ROUTE not in theirs
    reports = [energy_of(result, accelerator, NODE) for result, accelerator in ((sparse, chip()), (dense, chip(tile=False)))]
    by_action = [{line.action: line.energy_pj.nominal for line in report.lines} for report in reports]
    assert by_action[0]["mac"] == by_action[1]["mac"] / 2
    assert by_action[0]["mask_pattern"] > 0
    assert by_action[0]["route_product"] > 0


@pytest.mark.parametrize("form", ["int8", "ssvq:16,4"])
def test_weights_without_masks_take_d_over_q_passes(form: str) -> None:
    trace = gemm_chain(5, [8, 16], [form], [""])
    sparse, dense = simulate(chip(), trace), simulate(chip(tile=False), trace)
    # 2 K-tiles; 16 outputs are 2 stripes of 8 columns, or 4 of 4, of 5 rows each
    assert [result.bounds["array"] for result in (dense, sparse)] == [5 * 2 * 2, 5 * 2 * 4]
    assert sparse.macs == dense.macs == 5 * 8 * 16
    assert {layer.lowering for layer in sparse.layers} == {"no masks for the sparse tiles: 4 of 8 columns per pass"}
    assert sparse.traffic == dense.traffic  # the image holds no idle columns
    (ours,), (theirs,) = counts_of(chip(), trace), counts_of(chip(tile=False), trace)
    assert ours[MAC] == theirs[MAC]


@given(
    m=st.integers(1, 20), widths=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    forms=st.tuples(*[st.sampled_from([MASKED, "int8", "ssvq:16,4", "ssvq:3,2"])] * 2), sets=st.sampled_from([1, 2]),
    after=st.sampled_from(["", "gelu", "layernorm"]),
)  # fmt: skip
def test_machines_with_sparse_tiles_equal_the_clock_by_clock_twin(
    m: int, widths: list[int], forms: tuple[str, str], sets: int, after: str
) -> None:
    array = {"rows": 4, "cols": 8, "max_m": 8, "sparse_tile": {"d": 4, "q": 2}, "shadow_sets": sets}
    compare(chip(array=array), gemm_chain(m, [4 * width for width in widths], list(forms), [after, ""]))


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "uniform"},
        {"kind": "uniform", "bits": 5},
        {"kind": "vecq", "bits": 3},
        {"kind": "ssvq", "k": 11, "d": 4},
        {"kind": "vq", "k": 5, "d": 2},
        {"kind": "masked_vq", "k": 9, "d": 8, "keep": 1, "of": 4},
    ],
)
def test_every_format_is_bit_exact_on_sparse_tiles(fields: dict[str, object]) -> None:
    sizes = ["array.rows=8", "array.cols=16", "weight_buffer.word_bits=24", "codebook.codeword_length=4"]
    masks = ["codebook.mask={keep: 1, of: 4}", "array.sparse_tile={d: 8, q: 2}"]
    if fields["kind"] == "masked_vq":
        masks += ["codebook.codeword_length=8", "array.cols=32"]
    accelerator = load_accelerator("mcu-16x16", [*sizes, *masks])
    assert check_functional(accelerator, gemm_trace(3, 20, 24, fields)).ok
    assert simulate(accelerator, gemm_trace(3, 20, 24, fields)).macs == 3 * 20 * 24


def test_a_convolution_at_8_bit_and_a_masked_one_run_one_after_the_other() -> None:
    steps = [
        (conv(3, 8, 1, (3, 3), 1, 1, (7, 6), "planar"), {"kind": "uniform"}),
        (conv(8, 8, 1, (3, 3), 2, 1, (7, 6), "interleaved"), {"kind": "masked_vq", "k": 6, "d": 4, "keep": 1, "of": 4}),
    ]
    trace = network_of(steps)
    overrides = ["array.rows=8", "array.cols=16", "codebook.codeword_length=4", "codebook.mask={keep: 1, of: 4}"]
    accelerator = load_accelerator("mcu-16x16", [*overrides, "array.sparse_tile={d: 4, q: 1}"])
    assert check_functional(accelerator, trace).ok
    dense = load_accelerator("mcu-16x16", overrides)
    runs = [{layer.name: layer.bounds["array"] for layer in simulate(item, trace).layers} for item in (accelerator, dense)]
    # 8 outputs are one stripe of 16 columns, or two of 4
    assert runs[0]["layer0"] == 2 * runs[1]["layer0"]
    assert runs[0]["layer1"] == runs[1]["layer1"]


def network_of(steps: list) -> Trace:  # type: ignore[type-arg]
    makers = [make for (make, _), _ in steps]
    return network(TensorShape(groups=3, rows=7, width=6), makers, [(*size, fields) for (_, size), fields in steps])


# -- what does not fit


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["array.sparse_tile={d: 4, q: 3}"], "q = 3 must divide d = 4 and be less"),
        (["array.sparse_tile={d: 4, q: 4}"], "q = 4 must divide d = 4 and be less"),
        (["array.sparse_tile={d: 64, q: 4}"], "sparse_tile.d = 64 must divide cols = 32"),
        (["array.sparse_tile={d: 4, q: 2}"], "codebook.mask is null"),
        (["array.sparse_tile={d: 4, q: 2}", "codebook.mask={keep: 1, of: 4}"], "keeps 2 of each 4 .* codebook.mask is 1 of 4"),
        (["array.sparse_tile={d: 4, q: 2}", "codebook.mask={keep: 4, of: 8}"], "codebook.mask is 4 of 8"),
        (["codebook.mask={keep: 4, of: 4}"], "keep = 4 of 4 masks nothing"),
        (["array.sparse_tile={d: 16, q: 2}", "codebook.mask={keep: 1, of: 8}"], "codeword_length = 8 must divide the 4 columns"),
    ],
)
def test_a_tile_that_does_not_fit_its_chip_is_one_message(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_accelerator("edge-32x32", overrides)


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (tiny_encoder(5, 8, 2, 8, "int8"), r"a product of two activations \(attention\) has no masks for array\.sparse_tile"),
        (gemm_chain(3, [8, 8], ["masked:16,4,1,4"], [""]), "its masks keep 1 of 4; codebook.mask of 'tiny' is 1 of 2"),
        (gemm_chain(3, [8, 8], ["ssvq:16,4,1"], [""]), r"axis = 1 \(along the reduction\) does not fit the sparse tiles"),
    ],
)
def test_a_layer_that_does_not_fit_the_tiles_is_one_message(trace: Trace, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        simulate(chip(), trace)


def test_masks_on_a_chip_without_a_decoder_are_a_warning() -> None:
    plain = tiny_accelerator(codebook__codeword_length=4)
    result = simulate(plain, gemm_chain(3, [8, 8], [MASKED], [""]))
    assert [text for text in result.warnings if "set codebook.mask={keep: 1, of: 2}" in text]
    assert not simulate(chip(tile=False), gemm_chain(3, [8, 8], [MASKED], [""])).warnings


# -- what it costs


def test_a_tile_has_fewer_multipliers_and_pays_in_routing() -> None:
    masks = ["codebook.mask={keep: 4, of: 16}", "codebook.codeword_length=16", "array.cols=64", "array.rows=64"]
    dense, sparse = (load_accelerator("edge-64x64", [*masks, *tile]) for tile in ([], ["array.sparse_tile={d: 16, q: 4}"]))
    pes = [area_of(item, NODE).component("PE array").gates for item in (dense, sparse)]
    assert pes[0] is not None
    assert pes[1] is not None
    # A row of a tile, psums of 32 bits: 16 adders (7.13 GE a bit) and registers (5.67 GE) of 32 and 8 bits, 4 multipliers of 579 GE, two
    # weights of 8 bits (8.0 GE) each and two masks of 16 bits; zero counters 4 GE, 16-bit multiplexers 2.15 GE, for each of 4 x 16.
    row = 16 * (7.13 * 32 + 5.67 * 40) + 4 * 579 + 2 * 8.0 * (8 * 4 + 16) + 4 * 16 * (4.0 + 2.15 * 16)
    assert pes[1].nominal == pytest.approx(64 * 4 * row)
    assert 0.65 < pes[1].nominal / pes[0].nominal < 0.75
    assert pes[1].low < pes[1].nominal < pes[1].high
    for name in ("mask decoder", "weight compactor"):
        assert "estimate" in area_of(sparse, NODE).component(name).source
    with pytest.raises(KeyError):
        area_of(dense, NODE).component("weight compactor")


def test_the_mask_decoder_holds_every_pattern_for_each_lane_group() -> None:
    accelerator = load_accelerator("edge-32x32", ["codebook.mask={keep: 2, of: 4}", "codebook.ports=2"])
    gates = area_of(accelerator, NODE).component("mask decoder").gates
    assert gates is not None
    # 2 x 8 lanes are 4 groups of 4; a table of 24 bits at 106 GE * 9 / 512 bits (the smallest synthesized ROM's) a bit and bit of
    # its logarithm; 8 gates a lane
    assert gates.nominal == pytest.approx(4 * (106 * 9 / 512) * 24 / log2(24) + 1.33 * 8 * 16)
    with pytest.raises(KeyError):
        area_of(load_accelerator("edge-32x32"), NODE).component("mask decoder")
