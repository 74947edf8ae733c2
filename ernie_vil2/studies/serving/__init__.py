"""How many clients a server of indexes answers, and how fast."""
