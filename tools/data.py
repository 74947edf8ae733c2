"""Look into data, and write it as shards: the verb `data` of `ernie-vil2`."""

from ernie_vil2.cli.main import run_verb

if __name__ == "__main__":
    run_verb("data")
