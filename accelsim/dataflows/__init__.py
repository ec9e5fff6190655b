"""Axis 2: what stays in the array. One module a dataflow, found by its KIND.

To add one: a module with KIND and SPEC, a Dataflow that states the spatial map, the order of the folds, which formats it takes, and
the cycles of a fold in both conventions. The contract tests run over the registry.
"""
