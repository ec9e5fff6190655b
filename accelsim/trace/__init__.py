"""What a network is: layers as a graph, packed tensors, and the trace directory that holds both."""
