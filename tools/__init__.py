"""Command-line tools: each one is a thin `main` over the library."""
