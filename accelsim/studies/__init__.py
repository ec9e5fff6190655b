"""Limits that the whole machine must reach: cells that a closed form gives, and the walk from there to a preset's own figure."""
