"""From an image to pixels."""
