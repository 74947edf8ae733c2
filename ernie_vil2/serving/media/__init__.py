"""Pictures as they leave the server: thumbnails, originals, archives."""
