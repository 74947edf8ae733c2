"""A server of an index with a page to search on: the verb `serve` of `ernie-vil2`."""

from ernie_vil2.cli.main import run_verb

if __name__ == "__main__":
    run_verb("serve")
