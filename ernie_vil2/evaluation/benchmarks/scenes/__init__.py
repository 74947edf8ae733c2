"""A benchmark of drawn scenes, which needs no files."""
