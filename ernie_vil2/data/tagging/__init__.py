"""A detector's output as object tags."""
