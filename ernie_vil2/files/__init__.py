"""Files of any kind: read within bounds, and written as a whole or not at all."""
