"""Embeddings of the texts and images of a source: the verb `encode` of `ernie-vil2`."""

from ernie_vil2.cli.encode import main
from ernie_vil2.errors import run_tool

if __name__ == "__main__":
    run_tool(main)
