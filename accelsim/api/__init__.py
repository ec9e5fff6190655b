"""The public face: functions that take names, paths or objects, and the objects that they return. `import accelsim` offers it."""
