"""Compare a model with what the release computes: the verb `parity` of `ernie-vil2`."""

from ernie_vil2.cli.parity import main
from ernie_vil2.errors import run_tool

if __name__ == "__main__":
    run_tool(main)
