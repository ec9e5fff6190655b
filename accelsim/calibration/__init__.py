"""Fit named fields of a chip to measured times, and say what such a fit proves."""
