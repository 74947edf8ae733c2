"""Files as they are, without a table: trees of them, pictures alone, captions alone."""
