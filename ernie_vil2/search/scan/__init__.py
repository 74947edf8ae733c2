"""From folders and sources to rows of an index: what is new, moved, changed or gone, and its embeddings."""
