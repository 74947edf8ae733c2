"""Weights of other projects to the release's layout and back, a module a family."""
