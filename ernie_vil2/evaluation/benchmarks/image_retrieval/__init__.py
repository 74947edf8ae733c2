"""Benchmarks of images that search for images."""
