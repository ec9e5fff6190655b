"""Gates of an entropy decoder, per symbol that it hands on in a cycle: estimates, never synthesized.

Canonical Huffman: the next 15 bits are compared with the first code of each length, their place among the codes of a length addresses
a table of symbols in latches, and a shifter drops what was read. Golomb-Rice: a priority encoder finds the zero behind the ones, and two
shifters take the remainder and drop what was read. Disputable assumption: each symbol of a cycle has a decoder and a table of its own, as
interleaved streams need; a chip that reads one stream several symbols deep has other, longer logic.
"""

from __future__ import annotations

from accelsim.cost.gate_counts import FLOP_ENABLE, LATCH, READ_MUX, adder, register_file
from accelsim.cost.span import Span
from accelsim.formats.entropy_code import EntropyCode

_LONGEST = 15  # bits of a code
_BUFFER = 32  # bits of input that a decoder holds
_PRIORITY = 3.0  # GE per bit of a priority encoder
_SHIFTER = READ_MUX * _BUFFER * 5  # by 0 to 31 bits


def decoder(code: EntropyCode) -> Span:
    """Gate equivalents of one decoder with its table and input buffer."""
    shared = FLOP_ENABLE * _BUFFER + _SHIFTER
    if code.code == "rice":
        return Span.exact(shared + _SHIFTER + _PRIORITY * _BUFFER + adder(max(8, code.symbol_bits)))
    first_codes = _LONGEST * (adder(_LONGEST) + FLOP_ENABLE * _LONGEST)
    return Span.exact(shared + first_codes + register_file(code.alphabet * code.symbol_bits, 1, LATCH))
