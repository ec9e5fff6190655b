"""Folders as the Hugging Face hub has them: config.json and safetensors, without code and without pickle."""
