"""The `ernie-vil2` command: every module and package beside this one is one of its verbs.

ernie-vil2 --help
ernie-vil2 VERB --help
"""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from .. import __version__
from ..errors import nearest, run_tool
from ..messages import quoted
from .groups import GROUPS

USAGE = "usage: ernie-vil2 VERB [arguments]; `ernie-vil2 VERB --help` explains one, with examples"
FOLDER = Path(__file__).resolve().parent
HELP = ("-h", "--help", "help")
HELPERS = ("__main__", "main", "arguments", "groups", "progress", "sources", "stopping")


def modules() -> dict[str, Path]:
    """{verb: file of its module}, sorted; a verb with verbs of its own is a package whose `main` chooses among them."""
    found = {}
    for module in pkgutil.iter_modules([str(FOLDER)]):
        if module.name not in HELPERS:
            found[module.name] = FOLDER / (f"{module.name}/main.py" if module.ispkg else f"{module.name}.py")
    return dict(sorted(found.items()))


def verbs() -> dict[str, str]:
    """{verb: first line of its docstring}; the files are read, not imported, so that help is instant."""
    trees = {verb: ast.parse(path.read_text(encoding="utf-8")) for verb, path in modules().items()}
    return {verb: (ast.get_docstring(tree) or "").partition("\n")[0] for verb, tree in trees.items()}


def help_text() -> str:
    """Usage, and by what one wants to do a line to begin with and one for each verb."""
    known = verbs()
    width = max(map(len, known), default=0)
    lines = [USAGE]
    for purpose, (example, names) in GROUPS.items():
        lines += ["", f"{purpose}:  {example}", *(f"  {name:{width}}  {known[name]}".rstrip() for name in names)]
    return "\n".join(lines)


def dispatch(argv: list[str] | None = None) -> int | None:
    """Run the verb that the first argument names on the other arguments; its exit status, or 2 for wrong usage."""
    verb, *rest = (sys.argv[1:] if argv is None else argv) or [None]
    if verb in HELP and rest and rest[0] in modules():
        verb, *rest = *rest, "--help"
    if verb is None or verb in HELP:
        print(help_text())
        return 2 if verb is None else 0
    if verb in ("-V", "--version"):
        print(f"ernie-vil2 {__version__}")
        return 0
    known = modules()
    if verb not in known:
        close = nearest(verb, [*known, "--help", "--version"])
        hint = f"did you mean {close!r}?" if close else "the verbs are " + ", ".join(known)
        print(f"error: ernie-vil2 has no verb {quoted(verb, 80)}; {hint}", file=sys.stderr)
        return 2
    sys.argv[0] = f"ernie-vil2 {verb}"  # argparse shows it in the verb's usage line
    return verb_module(verb).main(rest)


def verb_module(verb: str) -> ModuleType:
    """The module of a verb, imported: its `parser` reads arguments, its `main` runs it."""
    return importlib.import_module(f".{verb}.main" if modules()[verb].stem == "main" else f".{verb}", __package__)


def run_verb(verb: str) -> NoReturn:
    """Run a verb on the arguments of the process and leave it; Ctrl-C is answered while its modules load, too."""
    run_tool(lambda argv: verb_module(verb).main(argv))


def main(argv: list[str] | None = None) -> None:
    """Entry point of the console command; leaves the process with the verb's exit status."""
    run_tool(dispatch, argv)


if __name__ == "__main__":
    main()
