"""Look into data, and write it as shards: the verb `data` of `ernie-vil2`."""

from ernie_vil2.cli.data.main import main
from ernie_vil2.errors import run_tool

if __name__ == "__main__":
    run_tool(main)
