"""Worked examples that tests and notebooks import; the package itself needs none of them."""
