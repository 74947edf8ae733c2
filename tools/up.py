"""A folder of pictures in the browser, indexed and searched: the verb `up` of `ernie-vil2`."""

from ernie_vil2.cli.main import run_verb

if __name__ == "__main__":
    run_verb("up")
