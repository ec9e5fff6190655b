"""What is printed: the tables of the commands, fitted to a terminal."""
