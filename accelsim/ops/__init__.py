"""Axis 4, operations: one module per operation, found by its KIND.

To add an operation of the vector unit: a module with KIND, SPEC (a VectorLayer: its record, shape rule, passes, how it walks over the
data, whether it may be fused, its trained constants, its names in the importers, and `evaluate`, its definition in float64)
and EXAMPLES worked by hand, over which the contract tests run. Products on the MAC array are in `mac_layers`.
"""
