"""Axis 2: which operand is stationary in the array. One module per dataflow, found by its KIND.

To add one: a module with KIND and SPEC, a Dataflow that states the spatial map, the order of the folds, which formats it takes, and
the cycles of a fold in both conventions. The contract tests run over the registry.
"""
