"""Benchmarks of images that belong to classes."""
