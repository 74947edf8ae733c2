"""Verbs of `data`."""
