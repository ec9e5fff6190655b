"""The map of decode steps against a model on paper: a matrix takes as long as its bytes or its decoding, the cache as its bytes.

Sizes are those of Llama 3.2 1B's config.json, written out again; nothing here is the simulator's but the cycles that are compared.
"""

from __future__ import annotations

import numba
import pytest

from accelsim.compression.open_trace import open_trace
from accelsim.simulation import simulate
from accelsim.sweeps.points import Point, candidate
from accelsim.sweeps.spec import load_sweep

BLOCKS, HIDDEN, FFN, KV, WORDS = 16, 2_048, 8_192, 8 * 64, 128_256
MATRICES = [(HIDDEN, HIDDEN), (HIDDEN, KV), (HIDDEN, KV), (HIDDEN, HIDDEN), (HIDDEN, FFN), (HIDDEN, FFN), (FFN, HIDDEN)]  # inputs, outputs
HEAD = (HIDDEN, WORDS)
PER_OUTPUT = 8  # bytes: scale and bias
CODEBOOK = 16 * 8  # bytes per matrix in SSVQ
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a whole model is too slow as plain Python")


def on_paper(coded_blocks: bool, coded_head: bool, rate: int, width: int, context: int) -> float:
    """Cycles of a step: 1.5 bits per weight and `width` weights per cycle where it is coded, else 8 bits and the memory's rate."""

    def matrix(k: int, n: int, coded: bool) -> float:
        size = k * n * (1.5 if coded else 8) / 8 + n * PER_OUTPUT + CODEBOOK * coded
        return max(size / rate, k * n / width if coded else 0)

    blocks = BLOCKS * sum(matrix(k, n, coded_blocks) for k, n in MATRICES)
    cache = 2 * BLOCKS * KV * (context + 1) / rate
    return blocks + matrix(*HEAD, coded_head) + cache


POINTS = {
    "llama_1b_float@uniform:bits=8": (False, False),
    "llama_1b_float@ssvq:k=16,d=8": (True, False),
    "llama_1b_float@*=ssvq:k=16,d=8": (True, True),
}


def simulated(position: int) -> tuple[float, float]:
    """(cycles of a cell, those on paper)."""
    sweep = load_sweep("decode_map")
    written, point = sweep.at(position), candidate(sweep, position)
    assert isinstance(point, Point)
    rate = int(written["dram.bandwidth"].split()[0])
    paper = on_paper(*POINTS[written["trace"]], rate, 8 * written["codebook.ports"], written["step.context"])
    return simulate(point.accelerator, open_trace(point.trace)).total_cycles, paper


@compiled
@pytest.mark.parametrize(
    "position",
    [
        10,  # int8, 128 tokens, 8 bytes per cycle
        64,  # int8, 32,768 tokens, 8 bytes per cycle
        75 + 10,  # SSVQ, head int8, 128 tokens, 8 bytes and 16 weights per cycle: decoding limits the blocks, memory the head
        150 + 14,  # SSVQ, 128 tokens, 8 bytes and 256 weights per cycle: memory
        150 + 11,  # SSVQ, 128 tokens, 8 bytes and 32 weights per cycle: decoding
    ],
)
def test_cells_of_the_map_are_those_on_paper(position: int) -> None:
    cycles, paper = simulated(position)
    assert cycles == pytest.approx(paper, rel=0.01)


@compiled
def test_a_cache_is_fetched_while_weights_are_decoded_as_far_as_the_buffer_reaches() -> None:
    """SSVQ, 4,096 tokens, 8 bytes and 32 weights per cycle: at most the buffer's 1 MiB per block and operand comes ahead."""
    cycles, paper = simulated(150 + 25 + 11)
    assert paper - BLOCKS * 2 * 2**20 / 8 <= cycles <= paper


def test_the_ceilings_on_paper_are_the_bytes() -> None:
    """2.8 with the head at int8, 5.2 with the head in the format; the cache takes them to 1.8 and 2.3 at 32,768 tokens."""
    ratios = [
        on_paper(False, False, 8, 256, tokens) / on_paper(True, head, 8, 256, tokens) for head in (False, True) for tokens in (128, 32_768)
    ]
    assert [round(ratio, 1) for ratio in ratios] == [2.8, 1.8, 5.2, 2.3]


@pytest.mark.parametrize(
    ("width", "gain"),
    [
        (4, 0.5),  # weights per cycle at 8 bytes per cycle: half a weight per byte
        (20, 2.5),
        (24, 3.0),  # three per byte
        (32, 4.0),
        (43, 5.2),  # 16/3 per byte are the weights that a byte holds
        (256, 5.2),
    ],
)
def test_three_times_the_speed_takes_three_weights_per_byte(width: int, gain: float) -> None:
    """With the head in the format and 128 tokens, as the front page says: a decoder slower than memory sets the gain, to where bytes do."""
    ratio = on_paper(False, False, 8, 256, 128) / on_paper(True, True, 8, width, 128)
    assert round(ratio, 1) == gain
