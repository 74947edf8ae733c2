"""What each pair of views is worth."""
