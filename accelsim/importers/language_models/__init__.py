"""Language models by their architecture: a table of families, and the one graph that they share."""
