"""Public benchmarks: readers of the files as their authors publish them, and the figures each reports."""
