"""The kernels of a training step on one thread, one by one: Paddle's own, this project's, and torch's."""
