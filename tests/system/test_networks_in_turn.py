"""Networks that take turns on one machine: addresses, prefetch from one into the next, one ROM for all, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numba
import pytest
from hypothesis import given, settings

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.errors import CompileError, ConfigError
from accelsim.functional import check_functional
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.stored_result import parse_result
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, load_trace
from tests.engine.test_machine_twin import compare
from tests.naive_machine import NaiveMachine
from tests.recorded import run_recorded
from tests.system.test_row_tiles import check_places
from tests.tiny_machines import accelerators, gemm_chain, nets, tiny_accelerator, tiny_encoder

TRACES = Path(__file__).parents[2] / "traces"
UNIVERSAL = "universal_vq:k=64,d=8"
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole network is too slow as plain Python")


def renamed(trace: Trace, name: str, **changes: object) -> Trace:
    fields = {field: getattr(trace.manifest, field) for field in type(trace.manifest).model_fields}
    return Trace(type(trace.manifest)(**{**fields, "name": name, **changes}), trace.payload)


def network(seed: int, name: str) -> Trace:
    """The tiny network with weights of another seed."""
    return renamed(load_trace(TRACES / "tiny_vit_float"), name, source=seeded_source(seed), payload=None)


def rom() -> Accelerator:
    return load_accelerator("edge-32x32", ["codebook.store=rom", "codebook.circuit=logic_rom"])


def bits(result: Result, operand: str, frame: int) -> int:
    return sum(item.bits for layer in result.frames[frame].layers for item in layer.traffic if item.operand == operand)


FIRST = renamed(tiny_encoder(7, 8, 2, 12, "ssvq:16,4"), "first")
SECOND = renamed(gemm_chain(5, [8, 24, 16], ["int8", "ssvq:5,4"], ["gelu", ""]), "second")


def test_frames_take_turns_and_each_has_all_macs_of_its_network() -> None:
    result = simulate(tiny_accelerator(codebook__codeword_length=4), FIRST, SECOND, frames=2)
    assert [frame.trace for frame in result.frames] == ["first", "second"] * 2
    assert [frame.macs for frame in result.frames] == [FIRST.macs, SECOND.macs] * 2
    assert result.trace_name == "first + second"
    assert {layer.name.split("/")[0] for layer in result.frames[1].layers} == {"second"}
    assert len({layer.name for layer in result.layers}) == len(FIRST.layers) + len(SECOND.layers)


@settings(max_examples=12)
@given(accelerators(), nets, nets)
def test_networks_in_turn_equal_the_clock_by_clock_twin(accelerator: Accelerator, one: Trace, other: Trace) -> None:
    try:
        compare(accelerator, renamed(one, "one"), renamed(other, "other"), frames=2)
    except CompileError:
        return


def test_a_network_runs_as_alone_while_nothing_of_the_next_can_affect_it() -> None:
    # Isolated runs, and a layer's weights load when the tiles before are done: the second network begins with the last row of the first.
    accelerator = tiny_accelerator(codebook__codeword_length=4, control={"overlap": "layer", "runs": "isolated"})
    alone = simulate(accelerator, FIRST).frames[0].layers
    together = simulate(accelerator, FIRST, SECOND).frames[0].layers
    last = max(index for index, layer in enumerate(alone) if layer.end_cycle > layer.start_cycle)
    for index, (ours, wanted) in enumerate(zip(together, alone, strict=True)):
        assert ours.name == f"first/{wanted.name}"
        assert (ours.macs, ours.traffic, ours.bounds, ours.lowering) == (wanted.macs, wanted.traffic, wanted.bounds, wanted.lowering)
        if index <= last:
            assert ours.start_cycle == wanted.start_cycle
        if index != last:
            assert ours.cycles == wanted.cycles
    waits = ("dram_activation", "vector")  # alone, the end of the program waits for the last result
    for name, wanted_cycles in alone[last].cycles.items():
        found = together[last].cycles[name]
        assert found <= wanted_cycles if name in waits else found == wanted_cycles


def test_the_next_network_is_prefetched_under_the_one_before() -> None:
    slow = {"device": "ideal", "latency": "20 ns", "bandwidth": "1 GB/s"}
    accelerator = tiny_accelerator(codebook__codeword_length=4, weight_buffer={"capacity": 8192, "word_bits": 32}, dram=slow)
    together = simulate(accelerator, FIRST, SECOND)
    apart = simulate(accelerator, FIRST).total_cycles + simulate(accelerator, SECOND).total_cycles
    assert together.total_cycles < apart
    assert together.frames[1].total_cycles < simulate(accelerator, SECOND).total_cycles
    assert together.bus_bytes == simulate(accelerator, FIRST).bus_bytes + simulate(accelerator, SECOND).bus_bytes


def test_each_network_has_addresses_of_its_own_and_reads_them_again_in_its_next_turn() -> None:
    accelerator = tiny_accelerator(codebook__codeword_length=4)
    program = compile_trace(accelerator, FIRST, SECOND, frames=2)
    half = program.transfers.address.size // 2
    assert program.transfers.address[:half].tolist() == program.transfers.address[half:].tolist()
    ends = [0]
    for address, size in zip(program.transfers.address[:half].tolist(), program.transfers.size[:half].tolist(), strict=True):
        assert address >= ends[-1]
        ends.append(address + size)
    assert min(job.address for job in program.jobs) >= ends[-1]


def test_the_host_puts_the_next_input_where_the_last_lay_when_nobody_reads_that_any_more() -> None:
    accelerator = tiny_accelerator(codebook__codeword_length=4, placement={"activations": "none"})
    program = compile_trace(accelerator, FIRST, SECOND, frames=2)
    _, landings = run_recorded(accelerator, program)
    twin = NaiveMachine(program, landings)
    twin.simulate()
    check_places(program, twin, landings)


def test_pinned_weights_of_all_networks_must_fit_and_are_read_once() -> None:
    def pinned(capacity: int) -> Accelerator:
        return tiny_accelerator(weight_buffer={"capacity": capacity, "word_bits": 32, "residency": "pinned"})

    one, other = (renamed(gemm_chain(4, [16, 16], ["int8"], [""]), name) for name in ("one", "other"))
    # 16 x 16 int8, and 16 channels of 8 B scale and bias: 384 B each
    result = simulate(pinned(768), one, other, frames=2)
    assert [bits(result, "raw_weights", frame) for frame in range(4)] == [8 * 256, 8 * 256, 0, 0]
    with pytest.raises(CompileError, match=r"needs 768 B; weight_buffer\.capacity = 767 B is short by 1 B"):
        simulate(pinned(767), one, other)


def test_the_run_id_covers_all_networks_and_their_order() -> None:
    accelerator = tiny_accelerator(codebook__codeword_length=4)
    runs = [(FIRST,), (SECOND,), (FIRST, SECOND), (SECOND, FIRST)]
    assert len({simulate(accelerator, *traces).run_id for traces in runs}) == len(runs)


def test_networks_of_one_name_and_no_network_are_refused() -> None:
    accelerator = tiny_accelerator(codebook__codeword_length=4)
    with pytest.raises(CompileError, match="2 networks are called 'first'; allowed: names that differ"):
        simulate(accelerator, FIRST, FIRST)
    with pytest.raises(CompileError, match="no trace is given"):
        simulate(accelerator)


def test_a_result_of_schema_version_1_is_read_with_its_one_network_in_every_frame() -> None:
    result = simulate(tiny_accelerator(codebook__codeword_length=4), FIRST, frames=2)
    fields = json.loads(result.to_json())
    assert parse_result(json.dumps(fields), "new") == result
    old = {**fields, "schema_version": 1, "frames": [{"layers": frame["layers"]} for frame in fields["frames"]]}
    assert parse_result(json.dumps(old), "old") == result
    with pytest.raises(ConfigError, match="odd: is not the result of a run: it has no field `schema_version`"):
        parse_result(json.dumps({**fields, "schema_version": None}), "odd")
    for version in (0, 3, True, "1"):
        with pytest.raises(ConfigError, match=r"`schema_version`: .* cannot be read; allowed: 1\.\.2"):
            parse_result(json.dumps({**fields, "schema_version": version}), "odd")


# -- one ROM


@compiled
def test_networks_that_share_a_universal_codebook_load_none_and_own_codebooks_are_loaded_in_every_turn() -> None:
    first, second = network(1, "first"), network(2, "second")
    shared = [
        compress_trace(first, make_recipe(UNIVERSAL), companions=[second])[0],
        compress_trace(second, make_recipe(UNIVERSAL), companions=[first])[0],
    ]
    result = simulate(rom(), *shared, frames=2)
    assert [bits(result, "codebook", frame) for frame in range(4)] == [0] * 4
    assert not result.cycles["codebook_load"]
    own = [compress_trace(item, make_recipe("vq:k=64,d=8"))[0] for item in (first, second)]
    reloaded = simulate(load_accelerator("edge-32x32"), *own, frames=2)
    # 12 matrices, each with a codebook of 64 x 8 int8, in each of four frames
    assert [bits(reloaded, "codebook", frame) for frame in range(4)] == [12 * 64 * 8 * 8] * 4
    checked = check_functional(rom(), *shared)
    assert checked.ok
    assert {layer.name.split("/")[0] for layer in checked.layers} == {trace.name for trace in shared}


@compiled
def test_a_rom_refuses_networks_whose_codebooks_differ_or_cannot_be_told_apart() -> None:
    first, second = network(1, "first"), network(2, "second")
    recipe = make_recipe(UNIVERSAL)
    shared = compress_trace(first, recipe, companions=[second])[0]
    alone = compress_trace(second, recipe)[0]
    message = r"of 'first_\w+' and '.*' of 'second_\w+' need different codebooks, but the ROM of 'edge-32x32' holds one; allowed: networks"
    own = compress_trace(second, make_recipe("vq:k=64,d=8"))[0]
    manifests = [compress_trace(item, recipe, payload=False)[0] for item in (first, second)]
    for pair in ((shared, alone), (shared, own), (shared, manifests[1]), manifests):
        with pytest.raises(CompileError, match=message):
            simulate(rom(), *pair)
    assert simulate(rom(), shared, compress_trace(second, make_recipe("uniform"))[0]).frames[1].trace == "second_uniform"


def test_shapes_without_weights_are_taken_to_share_the_codebook_and_the_result_says_so() -> None:
    universal = {"kind": "universal_vq", "k": 16, "d": 4}

    def shapes(name: str) -> Trace:
        trace = renamed(gemm_chain(4, [16, 16], ["int8"], [""]), name)
        fields = json.loads(trace.manifest.to_json())
        fields["layers"][0]["weight"]["format"] = universal
        return Trace(type(trace.manifest).model_validate_json(json.dumps(fields)))

    accelerator = tiny_accelerator(codebook={"ports": 1, "codeword_length": 4, "codewords": 64, "store": "rom", "circuit": "logic_rom"})
    result = simulate(accelerator, shapes("one"), shapes("other"))
    assert any("one, other: no payload" in warning for warning in result.warnings)
    assert not simulate(accelerator, shapes("one")).warnings
