"""Machines and nets whose units meet often: tiny buffers, few places in flight, clocks that share few edges, several clients."""

from __future__ import annotations

from accelsim.accelerator import Accelerator
from accelsim.trace.trace import Trace
from tests.tiny_machines import REAL_DRAM, gemm_chain, tiny_accelerator, tiny_encoder

BACKGROUND = {"bandwidth": "2 GB/s", "transfer": 96}


def chain() -> Trace:
    return gemm_chain(7, [12, 16, 16, 8], ["ssvq:16,2", "int8", "ssvq:5,4,1"], ["gelu", "add", "layernorm"])


def encoder() -> Trace:
    return tiny_encoder(9, 8, 2, 16, "ssvq:16,4")


def few_places(**more: object) -> dict[str, object]:
    return {"dma": {"transfer": 64, "max_transfers": 2, "max_outstanding_bursts": 4, "fabric_latency": "13 ns"}, **more}


def machines() -> dict[str, tuple[Accelerator, Trace]]:
    """Name -> (accelerator, net)."""
    code = {"ports": 2, "codeword_length": 4, "codewords": 64, "sets": 1}
    narrow = {"capacity": 4096, "banks": 1, "width_bits": 16, "loader_bits": 8}
    small = {"capacity": 352, "word_bits": 24}
    return {
        "ideal memory, infinite": (tiny_accelerator(codebook=code, dram={"device": "ideal"}), chain()),
        "ideal memory, tiny weight buffer": (tiny_accelerator(codebook=code, weight_buffer=small, **few_places()), chain()),
        "ideal memory, each tile loads first": (tiny_accelerator(codebook=code, control={"overlap": "none"}, **few_places()), encoder()),
        "ideal memory, isolated runs, 777 MHz": (
            tiny_accelerator(codebook=code, clock="777 MHz", control={"runs": "isolated", "issue_overhead_cycles": 3}), encoder(),
        ),
        "DRAM, 777 MHz core, every activation through it": (
            tiny_accelerator(
                codebook=code, clock="777 MHz", activation_buffer={**narrow, "residency": "dram"}, dram=REAL_DRAM, **few_places()
            ),
            encoder(),
        ),
        "two DRAM channels, background client": (
            tiny_accelerator(codebook=code, clock="300 MHz", dram={**REAL_DRAM, "channels": 2, "background": BACKGROUND}, **few_places()),
            chain(),
        ),
        "DRAM, tiny weight buffer, background client": (
            tiny_accelerator(codebook=code, weight_buffer=small, dram={**REAL_DRAM, "background": BACKGROUND}, **few_places()), encoder(),
        ),
        "slow core over several refreshes": (
            tiny_accelerator(codebook=code, clock="20 MHz", activation_buffer=narrow, dram=REAL_DRAM, **few_places()), chain(),
        ),
        "one accumulator bank, one lane, many chunks": (
            tiny_accelerator(
                codebook=code, array={"rows": 4, "cols": 4, "max_m": 3}, vector_unit={"lanes": 1, "latency": 5}, activation_buffer=narrow,
                weight_buffer=small,
            ),
            encoder(),
        ),
        "one read port of one accumulator bank": (
            tiny_accelerator(
                codebook=code, array={"rows": 4, "cols": 4, "max_m": 8, "accumulator_read": "stall"},
                vector_unit={"lanes": 1, "latency": 5}, dram=REAL_DRAM,
            ),
            encoder(),
        ),
        "one place, from an ideal memory without a fabric": (
            tiny_accelerator(
                codebook=code, activation_buffer={**narrow, "residency": "dram"}, weight_buffer=small,
                dma={"transfer": 32, "max_transfers": 1, "max_outstanding_bursts": 1, "fabric_latency": "0 ns"},
                dram={"device": "ideal", "latency": "35 ns", "bandwidth": "1 GB/s"},
            ),
            encoder(),
        ),
        "launches of networks and layers": (
            tiny_accelerator(
                codebook=code, clock="777 MHz", control={"overhead": {"network": "900 ns", "layer": "60 ns"}}, dram=REAL_DRAM,
                **few_places(),
            ),
            encoder(),
        ),
        "launches of layers whose weights load first": (
            tiny_accelerator(
                codebook=code, control={"overlap": "layer", "overhead": {"layer": "1 ns"}}, weight_buffer=small, **few_places()
            ),
            chain(),
        ),
        "everything through a narrow shared level": (
            tiny_accelerator(
                codebook=code, clock="777 MHz", activation_buffer={**narrow, "residency": "dram"}, dram=REAL_DRAM,
                l2={"capacity": "32 KiB", "width_bits": 8, "burst": 16}, **few_places(),
            ),
            encoder(),
        ),
        "everything in a shared level, in turn": (
            tiny_accelerator(
                codebook=code, activation_buffer={**narrow, "residency": "dram"}, weight_buffer=small,
                l2={"capacity": "32 KiB", "width_bits": 16, "burst": 24, "arbitration": "round_robin"},
                placement={"weights": "l2", "activations": "l2"}, **few_places(),
            ),
            encoder(),
        ),
        "weights in a shared level, activations around it": (
            tiny_accelerator(
                codebook=code, activation_buffer={**narrow, "residency": "dram"},
                l2={"capacity": "32 KiB", "width_bits": 8, "bypass": "activations"}, placement={"weights": "l2"}, **few_places(),
            ),
            chain(),
        ),
        "codebook banks that conflict": (tiny_accelerator(codebook={**code, "banks": 2}, dram=REAL_DRAM), chain()),
    }  # fmt: skip
