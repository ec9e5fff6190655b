"""A run as a timeline: recorded, run again unit by unit, and written for viewers of traces and of waveforms."""
