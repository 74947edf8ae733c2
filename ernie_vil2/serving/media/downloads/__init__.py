"""What leaves the server as a file: originals, ranges of them, and archives of many."""
