"""The export to a folder of Hugging Face transformers: weights, tokenizer, image processor, and their runs."""
