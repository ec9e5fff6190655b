"""Hadamard matrices whose order is no power of two: Paley's two constructions, and one of Williamson's for an order that neither has.

They lie as in N. J. A. Sloane's library (had.12, had.28.pal2, had.172.will, ...), whose matrices QuIP# multiplies by behind a product.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from accelsim.errors import TraceError
from accelsim.ops.operation import Floats

LARGEST = 256
ALLOWED = f"m x 2^k, m up to {LARGEST}: 1, q + 1 of a prime q = 3 modulo 4, 2 (q + 1) of a prime q = 1 modulo 4, or 172"
_WILLIAMSON = {172: ("+---++--++++-+-+++-++-", "++-++++++----+-+--++-+", "+++-+-++--+-+-++++-+--", "++---++++-+--+--++----")}
"""Order -> the first halves of the first rows of four symmetric circulants (Williamson, Duke Math. J. 11, 1944)."""


@cache
def odd_part(n: int) -> int | None:
    """The least order m of a known matrix of which n is a multiple by a power of two; None if there is none."""
    power = n & -n
    odd = n // power
    if odd == 1:
        return 1
    orders = (odd << place for place in range(2, power.bit_length()))
    return next((m for m in orders if m <= LARGEST and (_primes(m) or m in _WILLIAMSON)), None)


@cache
def matrix_of_order(m: int) -> Floats:
    """A matrix of 1 and -1 whose rows are orthogonal, read-only.

    Raises
    ------
    TraceError
        None is known here.
    """
    if m == 1:
        matrix = np.ones((1, 1))
    elif m % 4 == 0 and _primes(m):
        matrix = _paley(m, _primes(m)[0])
    elif m in _WILLIAMSON:
        matrix = _williamson(*_WILLIAMSON[m])
    else:
        raise TraceError(f"no Hadamard matrix of order {m} is known here; allowed: {ALLOWED}")
    matrix.flags.writeable = False
    return matrix


def _primes(m: int) -> tuple[int, ...]:
    """Primes q from which Paley made a matrix of order m, a multiple of 4: m - 1, or m / 2 - 1 where that is 1 modulo 4."""
    second = m // 2 - 1
    return tuple(q for q, suits in ((m - 1, True), (second, second % 4 == 1)) if suits and _is_prime(q))


def _paley(m: int, q: int) -> Floats:
    """J. Math. Phys. 12, 1933: characters of differences modulo q, bordered by ones; of q = m / 2 - 1 doubled."""
    residues = {value * value % q for value in range(1, q)}
    character = np.array([0.0, *(1.0 if value in residues else -1.0 for value in range(1, q))])
    bordered = np.ones((q + 1, q + 1))
    bordered[0, 0] = 0
    bordered[1:, 1:] = character[(np.arange(q)[:, None] - np.arange(q)[None, :]) % q]
    unit = np.eye(q + 1)
    if q == m - 1:
        bordered[0, 1:] = -1
        return bordered + unit
    return np.block([[bordered + unit, bordered - unit], [bordered - unit, -bordered - unit]])


def _williamson(*halves: str) -> Floats:
    """Four symmetric circulants in Williamson's array."""
    rows = [np.array([1.0 if sign == "+" else -1.0 for sign in half + half[:0:-1]]) for half in halves]
    n = rows[0].size
    a, b, c, d = (row[(np.arange(n)[None, :] - np.arange(n)[:, None]) % n] for row in rows)
    return np.block([[a, b, c, d], [-b, a, -d, c], [-c, d, a, -b], [-d, -c, b, a]])


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
