"""Models of other projects to ours and back, checked by running both."""
