"""Sweeps: many (accelerator, trace) points, each run once, in processes or on a cluster, kept in one store."""
