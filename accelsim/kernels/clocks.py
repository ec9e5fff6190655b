"""Clock edges in exact 64-bit integers: time in picoseconds to cycles and back.

Edge n of a clock of f Hz is at ceil(n * 10^12 / f) ps. That product overflows 64 bits after milliseconds, so it is divided digit by digit.
"""

from __future__ import annotations

from accelsim.kernels.kernel import borrowing_kernel

NEVER = 1 << 60  # a time or a cycle that does not come
PS_PER_S = 10**12
_DIGIT = 10  # bits of the factor that are taken at once
_DIGITS = 4  # so a factor has at most 40 bits


@borrowing_kernel
def scaled(a, b, c):
    """(quotient, remainder) of a * b / c, for 0 <= a, 0 <= b < 2^40 and 0 < c < 2^50, as far as the quotient has 63 bits."""
    whole = a // c
    part = a - whole * c
    quotient = 0
    rest = 0
    for digit in range(_DIGITS - 1, -1, -1):
        value = (rest << _DIGIT) + part * ((b >> (digit * _DIGIT)) & ((1 << _DIGIT) - 1))
        step = value // c
        rest = value - step * c
        quotient = (quotient << _DIGIT) + step
    return whole * b + quotient, rest


@borrowing_kernel
def scaled_up(a, b, c):
    """ceil(a * b / c), in the range of `scaled`."""
    quotient, rest = scaled(a, b, c)
    return quotient + (1 if rest > 0 else 0)


@borrowing_kernel
def edge_ps(cycle, clock_hz):
    """Time of clock edge `cycle`; NEVER for a cycle that does not come."""
    if cycle >= NEVER:
        return NEVER
    return scaled_up(cycle, PS_PER_S, clock_hz)


@borrowing_kernel
def cycle_at(time_ps, clock_hz):
    """First cycle whose edge is at or after `time_ps`; NEVER for a time that does not come."""
    if time_ps >= NEVER:
        return NEVER
    if time_ps <= 0:
        return 0
    quotient, _ = scaled(time_ps - 1, clock_hz, PS_PER_S)
    return quotient + 1
