"""From files to views. NumPy only, Paddle is never imported here."""
