"""Paths: what their texts mean, what is found at them, and where may be written."""
