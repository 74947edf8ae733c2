"""What is wrong with a source, before a training finds out."""
