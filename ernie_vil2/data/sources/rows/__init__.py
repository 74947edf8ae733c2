"""Parts of a row of a source: its text, its image, and rows of other releases."""
