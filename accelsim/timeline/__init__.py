"""A run as a timeline: recorded, replayed unit by unit, and written for Perfetto and for waveform viewers."""
