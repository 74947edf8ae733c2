"""A run tried in small before it costs anything."""
