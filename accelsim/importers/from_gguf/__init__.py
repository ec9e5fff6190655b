"""GGUF files (llama.cpp): the container, and its tensors as weights in the formats that they are stored in."""
