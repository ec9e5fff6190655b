"""Cycle loops on plain arrays, compiled by Numba: the only code that runs once per cycle. Imports NumPy and Numba only."""
