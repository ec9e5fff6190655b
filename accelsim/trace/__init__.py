"""A network: layers as a graph, packed tensors, and the trace directory that holds both."""
