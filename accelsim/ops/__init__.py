"""Axis 4, operations: all that is known of one operation in one file, found by its KIND.

To add an operation of the vector unit: a module with KIND, SPEC (a VectorLayer: its record, shape rule, passes, how it walks over the
data, whether it may be fused, its trained constants, the names under which importers meet it, and `evaluate`, its definition in float64)
and EXAMPLES worked by hand, over which the contract tests run. Products on the MAC array are in `mac_layers`.
"""
