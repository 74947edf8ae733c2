"""The demo on drawn scenes, and its page."""
