"""Texts and pictures of requests to vectors, several requests at once."""
