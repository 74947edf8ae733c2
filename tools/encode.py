"""Embeddings of the texts and images of a source: the verb `encode` of `ernie-vil2`."""

from ernie_vil2.cli.main import run_verb

if __name__ == "__main__":
    run_verb("encode")
