"""The training loop and what it needs: optimizer, state, log."""
