"""How fast, how small and how right the kinds of neighbours are, on many vectors that are like those of pictures."""
