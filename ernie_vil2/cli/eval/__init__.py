"""`eval`, and its verbs `compare` and `calibrate`."""
