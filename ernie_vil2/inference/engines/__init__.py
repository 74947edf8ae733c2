"""What runs a tower for inference: arrays in, embeddings out."""
