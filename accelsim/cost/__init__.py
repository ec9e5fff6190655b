"""What a run and a chip cost: area and energy from counted actions and a technology, each figure with its range and its source."""
