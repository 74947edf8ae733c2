"""What is trained: a model and an objective, with what belongs to both."""
