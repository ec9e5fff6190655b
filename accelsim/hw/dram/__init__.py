"""Memory channels: devices as timing tables, the controller as a cycle engine."""
