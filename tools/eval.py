"""Retrieval metrics of embeddings, of a model, or on a public benchmark: the verb `eval` of `ernie-vil2`."""

from ernie_vil2.cli.eval.main import main
from ernie_vil2.errors import run_tool

if __name__ == "__main__":
    run_tool(main)
