"""Layers of the towers and the dual encoder: nothing but arithmetic."""
