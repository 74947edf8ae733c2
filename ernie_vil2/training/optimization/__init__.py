"""What a step does to parameters once their gradients are there."""
