"""BriVL 1.0 (WenLan) as it was released, to ours and back."""
