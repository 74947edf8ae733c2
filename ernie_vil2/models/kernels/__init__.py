"""Layers of a training step on a CPU with gradients of their own, where Paddle's kernels are slow.

They compute what Paddle's do, in float32. Most of Paddle's CPU kernels for what is no matrix product read and write the
whole tensor for each operation, some of them value by value. Here NumPy works in the tensors' memory, and where it can
piece by piece, so that a piece stays in the cache for all operations on it. NumPy's loops let other threads run.
"""
