"""Axis 2: what stays in the array. One module a dataflow, found by its KIND."""
