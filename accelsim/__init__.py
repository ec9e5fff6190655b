"""accelsim: a cycle-level simulator of an edge NPU that runs vector-quantized networks."""

__version__ = "0.1.0"
