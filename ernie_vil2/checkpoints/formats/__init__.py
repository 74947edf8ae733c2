"""File formats of weights, read without executing anything of them."""
