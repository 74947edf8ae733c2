"""How fast and how large: loader, encoding, training."""
