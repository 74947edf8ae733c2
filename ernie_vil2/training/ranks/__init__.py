"""The ranks of a run: what a launcher says of them, how they find each other, and the watch over who does not come."""
