"""Video files: what they are, when their frames are shown, and the pixels of a frame."""
