"""Little's law for the reads in flight: their bytes over their latency bound the bandwidth of a stream."""

from __future__ import annotations

from fractions import Fraction

from accelsim.accelerator import Accelerator
from accelsim.hw.channel import burst_bytes, peak_bytes_per_s, read_latency_ps
from accelsim.hw.memory import IDEAL
from accelsim.quantities import PS_PER_S


def in_flight_shortage(accelerator: Accelerator) -> str:
    """A warning if the DMA keeps too few reads in flight for the DRAM's peak; '' if it does not."""
    dram, dma = accelerator.dram, accelerator.dma
    if dram is None or dram.device == IDEAL or accelerator.placement.weights != "dram":
        return ""
    rate = peak_bytes_per_s(dram)
    latency_ps = read_latency_ps(dram) + dma.fabric_latency
    in_flight = dma.max_outstanding_bursts * dram.channels * burst_bytes(dram)
    reach = Fraction(in_flight * PS_PER_S, max(1, latency_ps))
    if rate is None or reach >= rate:
        return ""
    return (
        f"{in_flight} B of reads in flight over {latency_ps / 1000:.0f} ns carry {float(reach) / 1e9:.2f} GB/s at most, the memory peaks "
        f"at {float(rate) / 1e9:.2f}: raise dma.max_outstanding_bursts"
    )
