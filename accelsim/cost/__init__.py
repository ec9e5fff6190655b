"""Costs of a run and a chip: area and energy from counted actions and a technology, each figure with its range and its source."""
