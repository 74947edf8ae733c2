"""Weights between two models: the verb `interpolate` of `ernie-vil2`."""

from ernie_vil2.cli.interpolate import main
from ernie_vil2.errors import run_tool

if __name__ == "__main__":
    run_tool(main)
