"""Convert weights between this project and others: the verb `convert` of `ernie-vil2`."""

from ernie_vil2.cli.convert import main
from ernie_vil2.errors import run_tool

if __name__ == "__main__":
    run_tool(main)
