"""From a model object or file to a float trace (optional extras)."""
