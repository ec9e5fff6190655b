"""Random chips and networks over all that a machine may have: mappings and dataflows, cores, a shared level, caches of keys and values.

`tiny_machines` draws the units that every chip has; here one of them in four has more of the rest. Fields that do not fit together are
drawn again.
"""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator
from accelsim.errors import ConfigError
from tests.system.test_attention_tiles import grouped_queries
from tests.tiny_convnets import convnets
from tests.tiny_machines import REAL_DRAM, accelerators, chains, encoders, gemm_chain

ARRAYS: list[dict[str, Any]] = [
    {"mapping": "gemv", "gemv_max_m": 3},
    {"mapping": "cheapest", "gemv_max_m": 1},
    {"dataflow": "output_stationary"},
    {"dataflow": "input_stationary", "max_m": 32},
    {"dataflow": "cheapest"},
    {"dataflow": "enhanced_weight_stationary", "weight_file": 2},
    {"depthwise": "block_diagonal"},
    {"depthwise": "column_feed", "column_feed": 3},
    {"depthwise": "vector"},
    {"depthwise": "cheapest", "column_feed": 0},
]

PLACES = [
    *((weights, activations, "none") for weights in ("dram", "l2") for activations in ("dram", "l2")),
    *(("dram", activations, "weights") for activations in ("dram", "l2")),
    *((weights, "dram", "activations") for weights in ("dram", "l2")),
]  # of weights and of activations, and what passes around the level


@st.composite
def machines(draw: st.DrawFn) -> Accelerator:
    """A small machine, three in four of them with an array, several cores or a level of another kind."""
    chip = draw(accelerators())
    changes: dict[str, Any] = {}
    kind = draw(st.sampled_from(["as it is", "array", "array", "cores", "cores", "level", "all"]))
    if kind in ("array", "all"):
        array = draw(st.sampled_from(ARRAYS))
        changes["array"] = chip.array.with_fields(**array)
        if array.get("depthwise") in ("vector", "cheapest"):
            changes["vector_unit"] = chip.vector_unit.with_fields(depthwise_taps=9)
    if kind in ("cores", "all"):
        how = {"core_split": draw(st.sampled_from(["cheapest", "stripes", "rows", "networks"])), "weight_broadcast": draw(st.booleans())}
        changes |= {"cores": draw(st.integers(2, 3)), "control": chip.control.with_fields(**how)}
        if chip.codebook.store == "rom" and draw(st.booleans()):
            changes["codebook"] = chip.codebook.with_fields(shared_ports=draw(st.sampled_from([1, 2, 8])), banks=None)
    if kind in ("level", "all"):
        weights, activations = draw(st.sampled_from([("dram", "dram"), ("l2", "dram"), ("dram", "l2"), ("l2", "l2")]))
        changes["l2"] = {"capacity": "64 KiB", "width_bits": 8 * draw(st.integers(1, 9)), "burst": draw(st.sampled_from([4, 64]))}
        changes["l2"]["clock"] = draw(st.sampled_from([None, "310 MHz"]))
        changes["placement"] = {"weights": weights, "activations": activations}
    try:
        return chip.with_fields(**changes)
    except ConfigError:
        assume(False)
        raise


few_rows = st.builds(
    lambda m, n, form: gemm_chain(m, [8, n, 20], [form, form], ["gelu", ""]),
    st.integers(1, 3),
    st.sampled_from([12, 24, 40]),
    st.sampled_from(["int8", "ssvq:16,2", "ssvq:5,2,1", "ssvq:16,4"]),
)
cached = st.builds(
    lambda tokens, kv_heads, shared: grouped_queries(tokens, kv_heads, shared, 4, cached=True),
    st.integers(1, 9),
    st.integers(1, 2),
    st.integers(1, 2),
)
networks = st.one_of(chains(), encoders(), convnets(), few_rows, cached)


@st.composite
def crowded_machines(draw: st.DrawFn) -> Accelerator:
    """A small machine each of whose mechanisms is drawn by itself: any meet, on arrays of any size, 1 to 4 cores and channels."""
    chip = draw(accelerators())
    d = draw(st.sampled_from([1, 1, 2, 4]))
    array = draw(st.sampled_from([{}, *ARRAYS]))
    sizes = {"rows": d * draw(st.integers(1, 9 // d)), "cols": d * draw(st.integers(1, 9 // d))}
    more: dict[str, Any] = {"raw_weights_per_cycle": draw(st.sampled_from(["tied", d, 2 * d]))}
    cores, shared = draw(st.integers(1, 4)), draw(st.sampled_from([None, 1, 2, 8]))
    control = {"core_split": draw(st.sampled_from(["cheapest", "stripes", "rows"])), "weight_broadcast": draw(st.booleans())}
    changes: dict[str, Any] = {
        "array": chip.array.with_fields(**{"max_m": draw(st.sampled_from([3, 9, 32])), **sizes, **array, **more}),
        "codebook": chip.codebook.with_fields(codeword_length=d),
        "cores": cores,
        "control": chip.control.with_fields(**control),
        "activation_buffer": chip.activation_buffer.with_fields(residency=draw(st.sampled_from(["buffer", "dram"]))),
        "dram": {**REAL_DRAM, "channels": draw(st.integers(1, 4)), "interleave": draw(st.sampled_from([64, 192, 1024]))},
    }
    if cores > 1 and shared is not None:
        changes["codebook"] = changes["codebook"].with_fields(store="rom", shared_ports=shared, banks=None)
    if array.get("depthwise") in ("vector", "cheapest"):
        changes["vector_unit"] = chip.vector_unit.with_fields(depthwise_taps=9)
    if draw(st.booleans()):
        changes["dram"] = chip.dram
    if draw(st.booleans()):
        weights, activations, bypass = draw(st.sampled_from(PLACES))
        changes["placement"] = {"weights": weights, "activations": activations}
        changes["l2"] = {
            "capacity": "64 KiB",
            "width_bits": 8 * draw(st.integers(1, 9)),
            "burst": draw(st.sampled_from([4, 24, 64])),
            "arbitration": draw(st.sampled_from(["priority", "round_robin"])),
            "bypass": bypass,
            "clock": draw(st.sampled_from([None, "310 MHz", "2 GHz"])),
        }
    try:
        return chip.with_fields(**changes)
    except ConfigError:
        assume(False)
        raise
