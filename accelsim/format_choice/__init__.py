"""A format per layer: output errors measured on samples, cycles simulated on the chip, and a mixed-integer program between them."""
