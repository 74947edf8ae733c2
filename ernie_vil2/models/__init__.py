"""Layers of the dual encoder: nothing but arithmetic."""
