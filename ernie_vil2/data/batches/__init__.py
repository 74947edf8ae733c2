"""From samples to batches of views, in an order that depends on a key alone."""
