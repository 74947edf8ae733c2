"""`eval`, and its verb `compare`."""
