"""The `ernie-vil2` command: every module of tools/ is one of its verbs.

ernie-vil2 --help
ernie-vil2 VERB --help
"""

import ast
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path

from . import __version__
from .errors import nearest, run_tool

USAGE = "usage: ernie-vil2 VERB [arguments]; `ernie-vil2 VERB --help` explains one"


def tools_folder():
    """Where the tools are: an installed package holds them inside it, a checkout beside it."""
    package = Path(__file__).resolve().parent
    inside = package / "tools"
    return inside if inside.is_dir() else package.parent / "tools"


def tools_package():
    """The package `ernie_vil2.tools`, wherever its folder is; `sys.path` stays as it is."""
    name = f"{__package__}.tools"
    if name not in sys.modules:
        folder = tools_folder()
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def verbs():
    """{verb: first line of its docstring}, sorted; the files are read, not imported, so that help is instant."""
    found = {}
    for module in pkgutil.iter_modules([str(tools_folder())]):
        if not module.name.startswith("_"):
            source = Path(module.module_finder.path, f"{module.name}.py").read_text(encoding="utf-8")
            found[module.name] = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    return dict(sorted(found.items()))


def help_text():
    """Usage, and one line a verb."""
    known = verbs()
    width = max(map(len, known), default=0)
    return "\n".join([USAGE, "", *(f"  {verb:{width}}  {line}".rstrip() for verb, line in known.items())])


def dispatch(argv=None):
    """Run the tool that the first argument names on the other arguments; its exit status, or 2 for wrong usage."""
    verb, *rest = (sys.argv[1:] if argv is None else argv) or [None]
    if verb in (None, "-h", "--help", "help"):
        print(help_text())
        return 2 if verb is None else 0
    if verb in ("-V", "--version"):
        print(f"ernie-vil2 {__version__}")
        return 0
    known = verbs()
    if verb not in known:
        close = nearest(verb, known)
        hint = f"did you mean {close!r}?" if close else "the verbs are " + ", ".join(known)
        print(f"error: ernie-vil2 has no verb {verb!r}; {hint}", file=sys.stderr)
        return 2
    tool = importlib.import_module(f"{tools_package().__name__}.{verb}")
    sys.argv[0] = f"ernie-vil2 {verb}"  # argparse shows it in the tool's usage line
    return tool.main(rest)


def main(argv=None):
    """Entry point of the console command; leaves the process with the tool's exit status."""
    run_tool(dispatch, argv)


if __name__ == "__main__":
    main()
