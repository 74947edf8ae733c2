"""What an index keeps: segments of rows and vectors, and the one manifest that names them."""
