"""Train a small ERNIE-ViL 2.0 on drawn scenes and write a page about it: the verb `demo` of `ernie-vil2`."""

from ernie_vil2.cli.main import run_verb

if __name__ == "__main__":
    run_verb("demo")
