"""How fast images and captions are encoded: the release's way, this project with each engine, and torch."""
