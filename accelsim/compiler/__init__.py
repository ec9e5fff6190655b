"""From a trace and an accelerator to a program of runs, vector tasks and transfers."""
