"""Benchmarks of pairs of texts with a degree of likeness."""
