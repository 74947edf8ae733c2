"""The indexes that a server has open."""
