"""What is written: JSON, CSV and folders, whole or not at all."""
