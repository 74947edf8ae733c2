"""A loaded model at work: embeddings, files of them, a detector."""
