"""Reading and writing weights: file formats, layouts, model directories."""
