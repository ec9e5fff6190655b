"""Decoders that people compare, as formats: those of papers, of llama.cpp, of phones and of look-up instructions, 8 bits first.

Disputable assumption: each at the parameters that its own project ships or its paper's text names, which are not equally accurate.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.errors import TraceError
from accelsim.trace.trace_name import SIGN, TraceName

PRESETS = "presets"
DECODER_PRESETS = (
    "uniform:bits=8",  # int8, a scale per output
    "int_group:bits=4,group=128",  # GPTQ, AWQ
    "int_group:bits=4,group=32",
    "gguf:type=MXFP4",  # Open Compute's Microscaling
    "palette:bits=4",  # 16 entries: Apple's palettization, Arm SME2's LUTI4
    "gguf:type=IQ2_XXS",  # llama.cpp: sign splitting with a universal codebook in ROM
    "aqlm:books=2,bits=8",  # 2x8, arXiv 2401.06118
    "ssvq:k=256,d=8",  # arXiv 2503.08668
    "universal_vq:k=4096,d=8",  # VQ4ALL (arXiv 2412.06875), whose k and d no text that could be read states
)


def in_presets(name: str) -> tuple[str, ...]:
    """NAME@FORMAT for each preset, of NAME@presets; any other name as it is."""
    parts = TraceName.parse(name)
    return tuple(str(replace(parts, format=text)) for text in DECODER_PRESETS) if parts.format == PRESETS else (name,)


def check_single(parts: TraceName) -> None:
    """TraceError if a name means a trace in each preset where one trace is asked for."""
    if parts.format == PRESETS:
        raise TraceError(
            f"'{parts}' is {len(DECODER_PRESETS)} traces, of which this takes one; allowed: a format ({parts.source}{SIGN}"
            f"{DECODER_PRESETS[0]}, accelsim list formats), or all of them side by side: accelsim formats ACCEL {parts}"
        )
