"""How the runs of a layer meet the array: one module per mapping, an object that answers whoever asks what a run of it takes.

To add one: a module here, a branch of the kernels that steps it, and a place where the compiler chooses it.
"""
