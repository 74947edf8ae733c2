"""Retrieval metrics and the harness around them."""
