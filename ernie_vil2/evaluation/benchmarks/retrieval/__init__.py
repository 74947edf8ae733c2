"""Benchmarks of images and texts that search for each other."""
