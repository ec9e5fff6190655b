"""Machines that are ideal except for a named part, by configuration alone.

Disputable assumption: an ideal decoder gives one array row of codewords per cycle. More would not help: the shadow registers
are written behind the swap wave, which frees one row per cycle.
"""

from __future__ import annotations

from typing import Literal

from accelsim.accelerator import Accelerator, load_accelerator

Overlap = Literal["prefetch", "layer", "none"]
HUGE = "16 GiB"
CODEWORD_LENGTH = 8
_CLOCK_HZ = 10**9


def closed_form_machine(array: int, bytes_per_cycle: float, overlap: Overlap) -> Accelerator:
    """An array x array machine on which only the array and the memory's bandwidth take time.

    Parameters
    ----------
    bytes_per_cycle : of the memory, which has no latency
    overlap : `layer` loads and then computes, `prefetch` overlaps
    """
    row_bits = 8 * array
    return load_accelerator(
        {
            "name": f"ideal {array}x{array}, {bytes_per_cycle:g} B per cycle, {overlap}",
            "clock": f"{_CLOCK_HZ} Hz",
            "array": {"rows": array, "cols": array, "max_m": 256, "accumulator_banks": 2},
            "codebook": {"store": "rom", "ports": array // CODEWORD_LENGTH, "codeword_length": CODEWORD_LENGTH},
            "weight_buffer": {"capacity": HUGE, "word_bits": row_bits},
            "activation_buffer": {"capacity": HUGE, "banks": 1, "width_bits": row_bits, "ports": 8, "loader_bits": row_bits},
            "vector_unit": {"lanes": 0, "latency": 0},
            "dma": {"transfer": 512, "max_transfers": 64, "fabric_latency": "0 ps"},
            "control": {"overlap": overlap},
            "dram": {"device": "ideal", "bandwidth": f"{round(bytes_per_cycle * _CLOCK_HZ)} B/s"},
            "placement": {"activations": "none"},
        }
    )
