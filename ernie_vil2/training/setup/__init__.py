"""What happens before the first step: checks, vocabulary, weights to start from."""
