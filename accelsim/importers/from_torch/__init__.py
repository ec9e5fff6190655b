"""`torch.export` programs as imported graphs (the extra `torch`)."""
