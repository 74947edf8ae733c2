"""An index of pictures and texts that somebody has, and the search in it."""
