"""Views of results: metrics, tables, plots, pages and files. Reads Results only."""
