"""Metrics of embeddings, NumPy only."""
