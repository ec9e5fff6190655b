"""Export of results: JSON, CSV and folders, written completely or not at all."""
