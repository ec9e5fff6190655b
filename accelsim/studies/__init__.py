"""Studies of published claims: the 3x maps, the walk from 5.33x, and machines like those of Vela and vector-LUT silicon."""
