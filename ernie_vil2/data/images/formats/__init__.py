"""What the file of a picture says before it is decoded: its kind, its sides, and what decoding it would take."""
