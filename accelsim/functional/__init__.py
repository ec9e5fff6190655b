"""The functional check: weights decoded out of the memory image, multiplied at the accumulators' width, and compared with the twin."""

from accelsim.functional.check import FunctionalReport, LayerCheck, check_computable, check_functional, codebook_error, multiply_layer

__all__ = ["FunctionalReport", "LayerCheck", "check_computable", "check_functional", "codebook_error", "multiply_layer"]
