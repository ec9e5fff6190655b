"""A report of runs as one self-contained HTML file: no network, no font, no library."""
