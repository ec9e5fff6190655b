"""What people read: metrics, area, tables, plots. Reads Results only."""
