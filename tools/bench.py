"""Measure on this machine: the verb `bench` of `ernie-vil2`."""

from ernie_vil2.cli.bench.main import main
from ernie_vil2.errors import run_tool

if __name__ == "__main__":
    run_tool(main)
