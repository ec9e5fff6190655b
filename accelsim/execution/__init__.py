"""Whole-network execution: integers flow from layer to layer, through the chip's weight image and the operations' own twins."""
