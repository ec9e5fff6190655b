"""The tests of accelsim; slow twins of its models are in `tests/naive*.py`, written from definitions and free of its code."""
