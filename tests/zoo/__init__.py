"""Networks that no library here defines, written from their papers."""
