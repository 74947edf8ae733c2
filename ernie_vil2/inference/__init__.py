"""Fast batched encoding with a loaded model."""
