"""Build an index of pictures, keep it up to date, and look into it."""
