"""What is asked of an index: sentences, pictures and vectors with weights, filters, thresholds, pages of hits."""
