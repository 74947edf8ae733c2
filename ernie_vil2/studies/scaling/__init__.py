"""A training step on many cards, worked out from measured values."""
