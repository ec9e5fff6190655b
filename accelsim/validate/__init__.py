"""Replays of reference figures: each module reads one kind of reference file and judges the model row by row."""
