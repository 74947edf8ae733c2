"""From files to views: sources, text, pixels, samplers. NumPy only, Paddle is never imported here."""
