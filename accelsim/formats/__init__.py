"""Axis 1: how weights are stored. One module a format, found by its KIND."""
