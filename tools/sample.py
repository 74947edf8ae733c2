"""Draw a dozen pictures with captions, tags, tables and a vocabulary: the verb `sample` of `ernie-vil2`."""

from ernie_vil2.cli.main import run_verb

if __name__ == "__main__":
    run_verb("sample")
