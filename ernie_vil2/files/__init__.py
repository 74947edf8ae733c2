"""Writing files so that nothing is half-written, and digests of them."""
