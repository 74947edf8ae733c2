"""A folder as it lies on the disk: what is in it, what has changed since, and what its files hold."""
