"""Retrieval metrics of embeddings, of a model, or on a public benchmark: the verb `eval` of `ernie-vil2`."""

from ernie_vil2.cli.main import run_verb

if __name__ == "__main__":
    run_verb("eval")
