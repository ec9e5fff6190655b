"""A shared port equals a loop over cycles that knows no queue but lists, and gives the figures that were worked by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.hw.shared_port import PLACES, Served, SharedPort

CLIENTS = ("activations", "stores", "weights", "fills")


@dataclass
class Asked:
    """A request of the twin."""

    client: str
    number: int
    cycle: int
    left: int


def by_cycles(asked: list[Asked], width: int, burst: int, round_robin: bool) -> tuple[list[Served], int]:
    """(requests that ended, in order; cycles that the port was held), one cycle after the other."""
    served: list[Served] = []
    waiting = {client: [item for item in asked if item.client == client] for client in CLIENTS}
    t = busy = 0
    holder: Asked | None = None
    moved = 0  # bytes of the burst that are left to move
    turn = list(CLIENTS)
    while holder is not None or any(waiting.values()):
        if holder is None:
            ready = [client for client in turn if waiting[client] and waiting[client][0].cycle <= t]
            if ready:
                holder = waiting[ready[0]][0]
                moved = min(burst, holder.left)
                holder.left -= moved
                if round_robin:
                    place = turn.index(ready[0])
                    turn = turn[place + 1 :] + turn[: place + 1]
        if holder is not None:
            busy += 1
            moved -= width
            if moved <= 0:
                if holder.left == 0:
                    waiting[holder.client].pop(0)
                    served.append(Served(holder.client, holder.number, t + 1))
                holder = None
        t += 1
    return served, busy


requests = st.lists(st.tuples(st.sampled_from(CLIENTS), st.integers(0, 40), st.integers(1, 70)), max_size=12)


@given(requests, st.integers(1, 9), st.sampled_from([4, 16, 21]), st.booleans(), st.lists(st.integers(0, 90), max_size=5))
def test_a_port_run_in_any_pieces_equals_the_twin(
    drawn: list[tuple[str, int, int]], width: int, burst: int, round_robin: bool, pieces: list[int]
) -> None:
    """Requests are told just before the piece of time in which they arrive."""
    coming = sorted(drawn, key=lambda item: item[1])
    numbers = dict.fromkeys(CLIENTS, 0)
    asked = []
    for client, cycle, size in coming:
        asked.append(Asked(client, numbers[client], cycle, size))
        numbers[client] += 1
    port = SharedPort(CLIENTS, width, burst, "round_robin" if round_robin else "priority")
    served = []
    for until in [*sorted(pieces), 10**9]:
        while coming and coming[0][1] < until:
            port.request(*coming.pop(0))
        served += port.advance(until)
    assert (served, port.busy_cycles) == by_cycles(asked, width, burst, round_robin)
    assert port.requested_bytes == {client: sum(size for name, _, size in drawn if name == client) for client in CLIENTS}
    bursts = [min(burst, size - start) for _, _, size in drawn for start in range(0, size, burst)]
    assert port.busy_cycles == sum(-(-size // width) for size in bursts)


def ends(asked: list[tuple[str, int, int]], width: int, burst: int) -> dict[str, int]:
    port = SharedPort(CLIENTS, width, burst)
    for client, cycle, size in asked:
        port.request(client, cycle, size)
    found = {item.client: item.cycle for item in port.advance(10**9)}
    twin, _ = by_cycles([Asked(client, 0, cycle, size) for client, cycle, size in asked], width, burst, False)
    assert found == {item.client: item.cycle for item in twin}
    return found


def test_activations_that_come_within_a_burst_wait_for_its_end_and_go_before_the_rest() -> None:
    """Bursts of 4 cycles: weights 0..8, activations 8..18 (16, 16 and 8 bytes), weights 18..26."""
    assert ends([("weights", 0, 64), ("activations", 5, 40)], 4, 16) == {"weights": 26, "activations": 18}


@pytest.mark.parametrize(
    ("asked", "last"),
    [
        ([("activations", 0, 3136)], 392),
        ([("weights", 0, 4096)], 512),  # with ports of their own, the longer of both
        ([("activations", 0, 3136), ("weights", 0, 4096)], 904),
        ([("activations", 0, 3136), ("weights", 0, 4096), ("fills", 0, 4096)], 1416),  # what comes from DRAM is written and read
    ],
)
def test_a_layer_takes_what_all_its_bytes_take_on_one_port(asked: list[tuple[str, int, int]], last: int) -> None:
    assert max(ends(asked, 8, 64).values()) == last


def test_a_client_has_so_many_places() -> None:
    port = SharedPort(CLIENTS, 8, 64)
    for _ in range(PLACES):
        assert port.can_take("weights")
        port.request("weights", 0, 8)
    assert not port.can_take("weights")
    with pytest.raises(ValueError, match="64 requests of weights wait for the port"):
        port.request("weights", 0, 8)
    assert port.can_take("fills")
    port.advance(1)
    assert port.can_take("weights")
