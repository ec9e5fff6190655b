"""From a float trace to a packed trace: the encoders of the formats."""
