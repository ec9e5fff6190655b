"""Axis 3: the units of the machine. One module a unit; a spec and its behaviour share a file."""
