"""What imported graphs are made of, whatever framework they come from: calls, values and products are read here, once."""
