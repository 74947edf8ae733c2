"""Image and text towers, a module a kind."""
