"""Quantized weights as the packages that write them store them in safetensors: GPTQ, AWQ, compressed-tensors, mlx, AQLM."""
