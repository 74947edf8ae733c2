"""Reading and writing weights: safe pickles, layouts, model directories."""
