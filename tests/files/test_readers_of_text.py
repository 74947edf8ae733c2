"""No module decodes text by means of its own: what knows marks and line ends is files/text.py."""

import ast
from pathlib import Path

import ernie_vil2

LIBRARY = Path(ernie_vil2.__file__).parent
METHODS = {"read_text", "splitlines", "readlines", "decode"}
FUNCTIONS = {
    "json": {"load", "loads"},
    "yaml": {"load", "safe_load", "load_all", "safe_load_all"},
    "csv": {"reader", "DictReader"},
    "np": {"loadtxt", "genfromtxt", "fromregex"},
    "io": {"TextIOWrapper", "open"},
    "codecs": {"open", "decode"},
}
OTHERWISE = {
    "the readers themselves": {"files/encodings.py", "files/text.py", "files/json_files.py", "files/yaml_files.py"},
    "pieces of files of lines, which lost their mark when they were indexed": {
        "data/sources/csv_table.py",
        "data/sources/line_files.py",
        "data/sources/lines.py",
        "data/sources/rows/images.py",
        "data/sources/rows/texts.py",
        "data/written_lists.py",
    },
    "names of files, which are bytes": {"files/paths/names.py"},
    "parts of binary formats": {
        "checkpoints/formats/",
        "checkpoints/layouts/any_source.py",
        "data/sources/tar/",
        "evaluation/benchmarks/retrieval/clip_files.py",
    },
    "what only a program writes": {
        "cli/eval/compare.py",
        "inference/journal.py",
        "data/sources/usable.py",
        "export/client_process.py",
        "inference/writer.py",
        "search/scan/fault.py",
        "studies/",
        "training/log/run_log.py",
    },
    "what is sent over HTTP, which is UTF-8 or refused": {"serving/guard/", "serving/media/downloads/file_names.py"},
    "templates and modules of the package, and what the system tells": {
        "cli/main.py",
        "data/images/damage.py",
        "device.py",
        "evaluation/runs/analysis.py",
        "files/leftovers.py",
        "files/locks.py",
        "inference/engines/processor.py",
        "models/towers/paddlenlp.py",
        "pages/html.py",
        "runtime.py",
        "training/distributed.py",
    },
}
ALLOWED = tuple(place for places in OTHERWISE.values() for place in places)


def reads_text(call):
    """Whether a call turns bytes or a file into text."""
    function = call.func
    if isinstance(function, ast.Attribute):
        owner = function.value.id if isinstance(function.value, ast.Name) else None
        return function.attr in METHODS or function.attr in FUNCTIONS.get(owner, ())
    if not (isinstance(function, ast.Name) and function.id == "open"):
        return False
    modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else "r"
    return "b" not in mode and not set(mode) & set("wax")


def modules_that_read():
    found = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        lines = [call.lineno for call in calls if reads_text(call)]
        if lines:
            found[path.relative_to(LIBRARY).as_posix()] = lines
    return found


def test_text_is_read_in_one_place():
    others = {name: lines for name, lines in modules_that_read().items() if not name.startswith(ALLOWED)}
    assert others == {}, "read it with ernie_vil2/files/text.py, json_files.py or yaml_files.py"


def test_no_exception_is_left_over():
    found = modules_that_read()
    assert [place for place in ALLOWED if not any(name.startswith(place) for name in found)] == []
