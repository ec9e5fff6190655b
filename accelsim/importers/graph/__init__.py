"""The framework-independent part of importing: calls, values, products and views of an imported graph."""
