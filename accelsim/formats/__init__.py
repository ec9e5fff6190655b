"""Axis 1: the storage of weights. One module per format, found by its KIND.

To add one: a module with KIND, SPEC (a WeightFormat) and EXAMPLES (texts that `parse_format` takes, over which the contract tests run);
ALSO_KNOWN_AS, if a paper names it otherwise; and, if weights can be turned into it, a module of the same KIND in `accelsim.compression`.
"""
