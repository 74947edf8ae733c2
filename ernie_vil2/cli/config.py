"""List the recipes that come with the project, or print one, to edit a copy of it."""

import sys

from ..config.recipes import recipe, recipe_names
from ..files.paths.program import typed
from ..files.text import read_lines, read_text
from .arguments import Parser

EXAMPLES = """
ernie-vil2 config
ernie-vil2 config finetune/own_pairs
ernie-vil2 config demo > my.yaml
"""


def title(name: str) -> str:
    """The first line of a recipe's head, which says what it is for."""
    return read_lines(recipe(name))[0].lstrip("# ")


def parser() -> Parser:
    """The arguments."""
    found = Parser(prog="ernie-vil2 config", description=__doc__, examples=EXAMPLES)
    found.add_argument("name", metavar="NAME", nargs="?", help="a recipe, such as demo or finetune/own_pairs")
    return found


def main(argv: list[str] | None = None) -> None:
    """Print the list, or one recipe as it stands."""
    options = parser().parse_args(argv)
    if options.name is not None:
        sys.stdout.write(read_text(recipe(options.name)))
        return
    names = recipe_names()
    width = max(map(len, names))
    print("\n".join(f"{name:{width}}  {title(name)}" for name in names))
    print(f"train with one: {typed('train', '-c', 'demo')}; edit a copy: {typed('config', 'demo')} > my.yaml")
