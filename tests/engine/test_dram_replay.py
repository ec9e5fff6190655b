"""A replayed trace: figures worked by hand, messages for wrong traces, devices and policies, and the speed of a stream."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from accelsim.errors import ConfigError, ReferenceDataError
from accelsim.hw.dram.channel import parameters
from accelsim.hw.dram.controller import POLICIES, load_policy
from accelsim.hw.dram.device import DramDevice, load_device
from accelsim.hw.dram.mapping import MAPPINGS, address_fields
from accelsim.hw.dram.memory_trace import MemoryTrace, read_memory_trace, transfers_of
from accelsim.hw.dram.replay import ReplayResult, replay, run_replay
from accelsim.kernels import dram
from accelsim.kernels import dram_state as at
from accelsim.presets import built_in, preset_names
from accelsim.quantities import edge_ps

FRFCFS = POLICIES["frfcfs"]


def trace_of(*lines: str) -> MemoryTrace:
    """A trace of lines like '0 R 0x40'."""
    rows = [line.split() for line in lines]
    columns = ([int(row[0]) for row in rows], [int(row[1] == "W") for row in rows], [int(row[2], 16) for row in rows])
    return MemoryTrace("lines", *(np.array(column, np.int64) for column in columns))


def replayed(device: str, *lines: str, policy: str = "frfcfs", mapping: str = "RoBaBgCo", mo: int = 32) -> ReplayResult:
    return replay(trace_of(*lines), load_device(device), POLICIES[policy], mapping, mo)


# 1 + n_cl + n_burst for a hit, + n_rcd for a closed bank, + n_rp for a conflict; LPDDR5's clock is stopped, so a CAS comes first
IDLE = {
    "ddr4-2400-x64": (22, 39, 56),
    "lpddr4-3200-x16": (37, 66, 95),
    "lpddr4-3200-x32": (37, 66, 95),
    "lpddr5-6400-x16": (21, 36, 51),
}


@pytest.mark.parametrize("name", IDLE)
def test_idle_read_latencies_are_those_of_the_datasheet_sums(name: str) -> None:
    device = load_device(name)
    other_row = device.banks * device.bursts_per_row * device.burst_bytes
    run = run_replay(trace_of("0 R 0x0", "200 R 0x40", f"400 R {other_row:#x}"), device, FRFCFS)
    hit, closed, conflict = IDLE[name]
    assert run.read_latency_cycles.tolist() == [closed, hit, conflict]
    result = run.result
    assert (result.row_hits, result.row_misses, result.row_conflicts) == (1, 1, 1)
    assert (result.activate_commands, result.precharge_commands, result.read_commands) == (2, 1, 3)


def test_sixteen_open_rows_and_two_directions_turn_the_bus_once_each_way() -> None:
    result = replayed("ddr4-2400-x64", "0 R 0x0", "0 R 0x40", "500 W 0x80", "1000 R 0xc0")
    assert (result.turnarounds, result.read_commands, result.write_commands) == (2, 3, 1)
    # accepted at 1000, WR at 501 long past: RD at 1001, data to 1001 + 17 + 4
    assert result.cycles == 1022
    assert result.bandwidth_gb_per_s == pytest.approx(4 * 64 / (1022 * 0.833))


def test_refreshes_before_the_last_data_are_counted() -> None:
    assert replayed("lpddr4-3200-x32", "0 R 0x0", "12400 R 0x40").refresh_commands == 1  # due at 6246 and 12492
    assert replayed("lpddr4-3200-x32", "0 R 0x0", "12600 R 0x40").refresh_commands == 2


def test_a_read_of_a_queued_write_is_answered_from_it_and_a_second_write_is_merged() -> None:
    for policy in POLICIES:
        result = replayed("ddr4-2400-x64", "0 W 0x0", "0 W 0x0", "0 R 0x0", policy=policy)
        assert (result.forwarded_reads, result.merged_bursts, result.read_latency_max_cycles) == (1, 1, 1), policy


def test_bank_queues_merge_reads_and_leave_a_few_writes() -> None:
    result = replayed("ddr4-2400-x64", "0 R 0x0", "0 R 0x0", *(f"100 W {0x40 * i:#x}" for i in range(8)), policy="bank-queues")
    assert (result.read_commands, result.merged_bursts, result.writes_left, result.write_commands) == (1, 1, 8, 0)
    assert replayed("ddr4-2400-x64", *(f"100 W {0x40 * i:#x}" for i in range(9)), policy="bank-queues").writes_left == 0


def test_one_read_in_flight_waits_for_the_one_before_and_a_cycle() -> None:
    # 39 cycles for the closed bank, then each is accepted one cycle after the data: 22 more, 1 between
    assert replayed("ddr4-2400-x64", "0 R 0x0", "0 R 0x40", "0 R 0x80", mo=1).cycles == 39 + 1 + 22 + 1 + 22


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("name", preset_names("dram"))
def test_a_mapping_cuts_every_burst_into_one_place_of_its_own(name: str, mapping: str) -> None:
    device = load_device(name)
    fields = address_fields(device, mapping)
    bits = sum(field.mask << field.shift for field in fields.values())
    assert bits == device.bursts - 1
    count = device.bursts // device.rows
    places = {tuple(fields[name].of(burst) for name in ("bank", "group", "column")) for burst in range(count)}
    assert len(places) == count
    assert {fields["row"].of(burst) for burst in range(count)} == {0}


def test_grouping_a_trace_into_transfers_changes_nothing() -> None:
    device = load_device("lpddr4-3200-x32")
    trace = trace_of(*(f"{i // 7 * 40} {'W' if i % 50 > 40 else 'R'} {64 * (i + 1000 * (i // 20)):#x}" for i in range(400)))
    grouped = run_replay(trace, device, FRFCFS, log_commands=4000)
    params = parameters(device, FRFCFS, "RoBaBgCo", 32, max_transfers=64)
    state, log = dram.new_state(params), np.zeros((4000, at.LOG_WIDTH), np.int64)
    single = (trace.cycle, trace.is_write, trace.address // 64, np.ones(400, np.int64))
    dram.replay(state, params, *single, log, np.zeros(0, np.int64))
    assert len(transfers_of(trace, device)[0]) < 200
    assert log[: state[at.LOGGED]].tolist() == grouped.log.tolist()


def test_the_result_is_json_with_units_in_its_names() -> None:
    record = replayed("ddr4-2400-x64", "0 R 0x0").to_dict()
    assert json.loads(json.dumps(record))["read_latency_mean_cycles"] == 39
    assert record["time_us"] == pytest.approx(40 * 0.833e-3 - 0.833e-3)


def test_the_clock_of_a_device_is_its_period_to_a_hertz() -> None:
    assert load_device("lpddr4-3200-x16").clock_hz == 1_600_000_000
    assert load_device("ddr4-2400-x64").clock_hz == 1_200_480_192
    assert edge_ps(4, load_device("lpddr4-3200-x16").clock_hz) == 2500


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("0 R 0x0\n5 X 0x40\n", ":2:", "CYCLE R|W 0xADDR"),
        ("0 R 0x0\n5 R\n", ":2:", "CYCLE R|W 0xADDR"),
        ("0 R 0x0\n5 R 40\n", ":2:", "CYCLE R|W 0xADDR"),
        ("0 R 0x0 0 R 0x40\n", ":1:", "CYCLE R|W 0xADDR"),
        ("0 R\n0x0\n", ":1:", "CYCLE R|W 0xADDR"),
        ("1.5 R 0x0\n", ":1:", "CYCLE R|W 0xADDR"),
        ("-1 R 0x0\n", ":1:", "allowed cycles 0"),
        ("9999999999999999999999 R 0x0\n", ":1:", "allowed cycles 0"),
        ("0 R 0xfffffffffffffffffff\n", ":1:", "allowed cycles 0"),
        ("7 R 0x0\n\n6 R 0x40\n", ":3:", "cycle 6 goes back; allowed: 7 or later"),
        ("", "trace.txt", "holds no burst"),
        ("\n\n", "trace.txt", "holds no burst"),
    ],
)
def test_a_wrong_trace_line_is_one_message_with_line_value_and_what_is_allowed(tmp_path: Path, text: str, place: str, message: str) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(text)
    with pytest.raises(ReferenceDataError) as caught:
        read_memory_trace(path)
    assert place in str(caught.value)
    assert message in str(caught.value)


def test_a_trace_that_is_not_text_or_not_there_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "trace.txt").write_bytes(b"\x00\xff\xfe")
    for path in (tmp_path / "trace.txt", tmp_path / "none.txt", tmp_path):
        with pytest.raises(ReferenceDataError, match="cannot be read"):
            read_memory_trace(path)


def test_blank_lines_and_a_missing_last_newline_are_read(tmp_path: Path) -> None:
    (tmp_path / "trace.txt").write_text("\n0 R 0x0\r\n\n 3 W 0X40")
    trace = read_memory_trace(tmp_path / "trace.txt")
    assert (trace.cycle.tolist(), trace.is_write.tolist(), trace.address.tolist()) == ([0, 3], [0, 1], [0, 64])


def test_an_address_past_the_device_names_the_burst_and_the_last_address() -> None:
    with pytest.raises(ReferenceDataError, match=r"burst 2: address 0x20000000 lies past lpddr4-3200-x16; allowed: 0x0 to 0x1fffffff"):
        replayed("lpddr4-3200-x16", "0 R 0x1fffffe0", "0 R 0x20000000")


def test_unknown_names_and_numbers_out_of_range_say_what_is_known() -> None:
    with pytest.raises(ConfigError, match="unknown DRAM device 'ddr4-2400'; known: ddr4-2400-x64"):
        load_device("ddr4-2400")
    with pytest.raises(ConfigError, match="unknown address mapping 'RoBaCo'; known: RoBaBgCo, RoCoBaBg"):
        replayed("ddr4-2400-x64", "0 R 0x0", mapping="RoBaCo")
    with pytest.raises(ConfigError, match="unknown controller policy 'fcfs'; known: frfcfs, frfcfs-row-hit, bank-queues"):
        load_policy("fcfs")
    with pytest.raises(ConfigError, match="max_outstanding_bursts = 0: allowed 1 to 65536"):
        replayed("ddr4-2400-x64", "0 R 0x0", mo=0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_rc: 56", "n_rc: 55", "n_rc = 55 must be at least n_ras + n_rp = 56"),
        ("n_cl: 17", "n_cl: 0", "n_cl"),
        ("rows: 65536", "rows: 65535", "rows = 65535 must be a power of two"),
        ("burst_bytes: 64", "burst_bytes: 32", "must be bus_bits"),
        ("n_rtp:", "n_rpt:", "unknown field"),
        ("n_refi: 9360", "n_refi: 430", "n_refi = 430 must be at least"),
        ("n_rrd_l: 6", "n_rrd_l: 3", "n_rrd_l = 3 must be at least n_rrd_s = 4"),
    ],
)
def test_a_wrong_device_table_is_one_message_with_field_and_value(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (built_in().configs / "dram" / "ddr4-2400-x64.yaml").read_text()
    assert old in text
    path = tmp_path / "device.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_device(str(path))
    assert message in str(caught.value)


def test_a_policy_file_sets_queues_and_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("{name: mine, kind: frfcfs, read_queue: 8, write_queue: 16, drain_above: 12, drain_below: 4}")
    assert load_policy(str(path)).read_queue == 8
    path.write_text("{name: mine, kind: frfcfs, write_queue: 8, drain_above: 8}")
    with pytest.raises(ConfigError, match="drain_above = 8 must be below write_queue = 8"):
        load_policy(str(path))


# data rate x bus width: 2 transfers of 8 B in 0.833 ns, and so on
PEAK_BYTES_PER_S = {"ddr4-2400-x64": 16 / 0.833e-9, "lpddr4-3200-x16": 6.4e9, "lpddr4-3200-x32": 12.8e9, "lpddr5-6400-x16": 12.8e9}


def test_every_preset_names_itself_and_agrees_with_its_bus() -> None:
    for name in preset_names("dram"):
        device = load_device(name)
        assert isinstance(device, DramDevice)
        assert device.name == name
        assert device.peak_bytes_per_s == pytest.approx(PEAK_BYTES_PER_S[name], rel=1e-5)
