"""A model's towers in int8: the verb `quantize` of `ernie-vil2`."""

from ernie_vil2.cli.main import run_verb

if __name__ == "__main__":
    run_verb("quantize")
