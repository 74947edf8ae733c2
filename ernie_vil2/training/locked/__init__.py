"""A locked image tower: whether it is one, and the embeddings that it gives once and for all."""
