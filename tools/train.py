"""Train a dual encoder from a configuration file: the verb `train` of `ernie-vil2`."""

from ernie_vil2.cli.train import main
from ernie_vil2.errors import run_tool

if __name__ == "__main__":
    run_tool(main)
