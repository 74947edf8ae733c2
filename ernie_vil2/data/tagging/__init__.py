"""A detector's output as object tags and boxes."""
