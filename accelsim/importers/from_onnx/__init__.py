"""ONNX files as imported graphs (the extra `import`)."""
