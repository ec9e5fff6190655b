"""Trainable weights of each format; a module with `KIND` and `QUANTIZER` adds a format by existing."""
