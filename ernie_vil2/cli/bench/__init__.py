"""Verbs of `bench`."""
