"""Terminal output: the tables of the commands, fitted to the width."""
