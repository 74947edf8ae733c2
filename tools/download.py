"""Fetch published weights and vocabularies: the verb `download` of `ernie-vil2`."""

from ernie_vil2.cli.download import main
from ernie_vil2.errors import run_tool

if __name__ == "__main__":
    run_tool(main)
