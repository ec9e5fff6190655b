"""Axis 3: the units of the machine. One module per unit; a spec and its behaviour share a file."""
