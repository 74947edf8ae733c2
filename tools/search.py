"""What an index finds for a sentence or a picture: the verb `search` of `ernie-vil2`."""

from ernie_vil2.cli.main import run_verb

if __name__ == "__main__":
    run_verb("search")
