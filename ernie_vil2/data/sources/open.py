"""Where samples come from: `open_source` turns a path, a glob, a list or a mapping into a Source."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DataError, advice, nearest
from ...files.paths.litter import is_litter
from ...files.paths.patterns import is_braces, path_error, paths_of
from ...files.yaml_files import parse_value
from ...messages import quoted
from ...plugins import hint, remember, same_class
from ...schema import check_range, coerce
from ..videos.kinds import SUFFIXES as VIDEO_SUFFIXES
from .base import Source, require_sides
from .beside import READERS, BesideSource
from .chinese_clip import ChineseClipSource
from .composite import JoinedSource
from .folder import TABLES, FolderSource
from .line_files import JsonlSource, TsvSource
from .lmdb import LmdbSource
from .mix import MixedSource
from .parquet.source import ParquetSource, is_parquet
from .plain.caption_lines import TextsSource
from .plain.picture_files import PicturesSource, holds_pictures
from .scenes.options import scene_options
from .stem_files import FilesSource, holds_stems
from .tar.source import TarSource, is_tar
from .videos.source import VideosSource, holds_only_videos

FILES = {
    "tsv": TsvSource,
    "jsonl": JsonlSource,
    "folder": FolderSource,
    "tar": TarSource,
    "files": FilesSource,
    "chinese_clip": ChineseClipSource,
    "lmdb": LmdbSource,
    "parquet": ParquetSource,
    "pictures": PicturesSource,
    "texts": TextsSource,
    "videos": VideosSource,
}
MADE_OF_OTHERS = ("mix", "scenes")
BROUGHT: set[str] = set()
"""Kinds that were registered: a path of one is a file or a folder"""
MAX_NUMBER = (1 << 64) - 1
"""Of an option of a source, the largest of which are seeds"""
WORKBOOKS = (".xlsx", ".xls", ".xlsm", ".ods", ".et", ".numbers")
"""Suffixes of spreadsheets with sheets in them, of which people have exports made"""
SUFFIXES = {
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "texts",
    ".parquet": "parquet",
} | dict.fromkeys(VIDEO_SUFFIXES, "videos")
FILES_ALONE, FOLDERS_TOO = ("tsv", "jsonl", "texts"), ("tar", "parquet", "videos")
"""Kinds of which a path is a file, and those of which it is a file or a folder"""


def open_source(spec: Source | str | os.PathLike | Sequence | Mapping[str, Any]) -> Source:
    """Open a source.

    `spec` is a path (.tsv, .jsonl, .ndjson, .txt, .tar, .parquet or video file, folder of tars, Parquet files, videos
    or pictures, or with a table of captions, or that .csv table), a glob of such paths, a list of specs, a string
    `scenes:split=test,size=1000`, or a mapping {kind: KIND, path: ..., option: value} with a KIND of `kinds()`, also as
    a string of YAML. Raises ConfigError for an unknown kind or option, DataError for files that are missing, empty or
    of a foreign format.
    """
    try:
        return opened(spec)
    except OSError as error:
        raise DataError(f"{error.filename or quoted(spec)}: {error.strerror or error}; {advice(error)}") from None


def kinds() -> tuple[str, ...]:
    """Every `kind` that a source may be of."""
    return (*FILES, *MADE_OF_OTHERS)


def register_source(name: str, source: type[Source], suffixes: Sequence[str] = ()) -> None:
    """Make a kind of source known: `source(path=..., **options)` for a file or folder of {kind: NAME, path: ...}, and
    for every file that ends in one of `suffixes` (".xyz").

    Options are those of its constructor, checked by name and, for bool, int and str, by type. ConfigError for a name
    or a suffix that is taken, or what is no Source or no suffix.
    """
    if not (isinstance(source, type) and issubclass(source, Source)):
        raise ConfigError(f"register_source: {name} must be a class derived from Source (ernie_vil2.data.sources.base)")
    if not (isinstance(name, str) and name):
        raise ConfigError(f"register_source: the name of a kind is a text that is not empty, not {name!r}; correct it")
    if inspect.isabstract(source):
        raise ConfigError(f"register_source: {name} lacks {', '.join(sorted(source.__abstractmethods__))}; add it")
    odd = [suffix for suffix in suffixes if not is_suffix(suffix)]
    if isinstance(suffixes, str) or odd:
        raise ConfigError(
            f'register_source: suffixes of {name} must be a tuple of texts such as (".xyz",), in small letters and '
            f"with one dot, not {quoted(suffixes if isinstance(suffixes, str) else odd[0])}; correct it"
        )
    taken = [suffix for suffix in suffixes if suffix in (".csv", ".tar") or SUFFIXES.get(suffix, name) != name]
    if name in kinds() and not same_class(FILES.get(name), source) or taken:
        what = f"files in {taken[0]}" if taken else f"sources of kind {name}"
        raise ConfigError(f"register_source: there are {what} already; choose another name or suffix")
    FILES[name] = source
    BROUGHT.add(name)
    SUFFIXES.update(dict.fromkeys(suffixes, name))
    remember("source", name, source)


def is_suffix(suffix: object) -> bool:
    """Whether a file can be known by a suffix, which is compared in small letters."""
    return isinstance(suffix, str) and suffix != "" and Path(f"name{suffix}").suffix.lower() == suffix


def open_pairs(spec: Any) -> Source:
    """`open_source` for training; DataError where rows lack an image or captions."""
    source = open_source(spec)
    require_sides(source, "training")
    return source


def opened(spec: Any) -> Source:
    """`open_source`, but OSError for what the operating system refuses."""
    if isinstance(spec, Source):
        return spec
    if isinstance(spec, (list, tuple)):
        if not spec:
            raise ConfigError("the list of sources is empty; name at least one")
        parts = [opened(part) for part in spec]
        return JoinedSource(parts, f"{len(spec)} sources") if len(spec) > 1 else parts[0]
    if isinstance(spec, (str, os.PathLike)):
        text = os.fspath(spec)
        if text == "scenes" or text.startswith("scenes:"):
            spec = {"kind": "scenes", **scene_options(text.partition(":")[2])}
        elif text.startswith("{") and text.endswith("}") and not is_braces(text):
            spec = written_mapping(text)
        else:
            spec = {"path": text}
    if not isinstance(spec, dict):
        raise ConfigError(f"a source is a path or a mapping with kind and path, not {quoted(spec)}")
    options = dict(spec)
    for field in READERS:
        if field in options:
            path = checked_path(options.pop(field), f"the option {field} of a source")
            return BesideSource(opened(options), path, field)
    kind = options.pop("kind", None)
    if kind is not None and kind not in kinds():
        close = nearest(kind, kinds())
        raise ConfigError(
            f"unknown kind of source {quoted(kind)}; "
            + (f"did you mean {close!r}?" if close else "known are " + ", ".join(kinds()))
            + f"; {hint('source')}"
        )
    if kind == "scenes":
        from .scenes.source import SceneSource

        return build(SceneSource, kind, options)
    if kind == "mix":
        return build(MixedSource, kind, {"sources": None, **options, "open_part": open_source})
    path = options.pop("path", None)
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ConfigError(f"a source of kind {kind or 'tsv'} needs a path, not {quoted(path)}; add path: FILE")
    checked_path(path, "the path of a source")
    paths = paths_of(os.path.expanduser(path))
    if len(paths) > 1 and (kind == "tar" or (kind is None and all(map(is_tar, paths)))):
        return build(TarSource, "tar", {"path": paths, **options})
    parts = [open_path(kind, name, options) for name in paths]
    return parts[0] if len(parts) == 1 else JoinedSource(parts, os.fspath(path))


def checked_path(path: Any, what: str) -> Any:
    """`path`; ConfigError for a text that can be none."""
    if isinstance(path, (str, os.PathLike)) and (wrong := path_error(os.fsdecode(path))):
        raise ConfigError(f"{what} is {quoted(os.fsdecode(path))}, which {wrong}")
    return path


def open_path(kind: str | None, path: str | os.PathLike, options: Mapping[str, Any]) -> Source:
    """One file or folder as a source; without `kind`, by suffix or by what is in the folder."""
    path = Path(path)
    is_folder = path.is_dir()
    if kind is None:
        by_name = "tar" if is_tar(path) else SUFFIXES.get(path.suffix.lower())
        kind = kind_of_folder(path, options) if is_folder else by_name
    if path.suffix.lower() == ".csv" and kind in (None, "folder") and not is_folder:
        return build(FolderSource, "folder", {"path": path.parent, "metadata": path.name, **options})
    if kind is None and path.suffix.lower() in WORKBOOKS:
        raise DataError(f"{path}: a workbook is not read; save the sheet as CSV (另存为, CSV) and name that file")
    if kind is None:
        raise DataError(
            f"{path}: the kind of source cannot be told from the suffix {path.suffix!r}; end its name in .csv, .tsv, "
            f".jsonl, .txt, .tar or .parquet, or give kind and path in a mapping; {hint('source')}"
        )
    either = kind in BROUGHT or kind in FOLDERS_TOO
    if not either and is_folder == (kind in FILES_ALONE):
        found = "a folder" if is_folder else "not a folder"
        raise DataError(f"{path}: this is {found}, so it cannot be of kind {kind!r}; correct kind or path")
    if kind == "tsv":
        return open_tsv(path, options)
    return build(FILES[kind], kind, {"path": path, **options})


def open_tsv(path: Path, options: Mapping[str, Any]) -> Source:
    """The release's rows, or a table where the first line names other columns, or options of a table are given."""
    names, columns = [], options.get("columns")
    if not {"columns", "allow_outside"} & set(options):
        source = build(TsvSource, "tsv", {"path": path, **options})
        if not source.is_table:
            return source
        names = source.names
    if names:
        columns = {key: name for name, key in {"image_id": "id", "base64": "image_base64"}.items() if name in names}
    return build(FolderSource, "folder", {"path": path.parent, "metadata": path.name, **options, "columns": columns})


def kind_of_folder(path: Path, options: Mapping[str, Any]) -> str:
    """What a folder is a source of, by the names in it."""
    names = [name for name in os.listdir(path) if not is_litter(name)]
    if not options.get("metadata") and not set(names) & set(TABLES):
        if any(map(is_tar, names)):
            return "tar"
        if "imgs" in names and "pairs" in names:
            return "lmdb"
        if any(name.endswith("_imgs.tsv") for name in names):
            return "chinese_clip"
        if holds_stems(path):
            return "files"
        if any(map(is_parquet, names)):
            return "parquet"
        if holds_only_videos(path):
            return "videos"
        if not set(options) - {"allow_outside"} and holds_pictures(path):
            return "pictures"
    return "folder"


def build(factory: Callable[..., Source], kind: str, options: Mapping[str, Any]) -> Source:
    """`factory(**options)`, after checking names and types of the options against its signature."""
    known = inspect.signature(factory).parameters
    named = {name: item for name, item in known.items() if item.kind is not inspect.Parameter.VAR_KEYWORD}
    taken = {}
    for name, value in options.items():
        taken[name] = value
        if name not in named and len(named) == len(known):
            close = nearest(name, named)
            hint = f"did you mean {close!r}?" if close else "known are " + ", ".join(named)
            raise ConfigError(f"unknown option {quoted(name)} of a {kind} source; {hint}")
        if name in named and named[name].annotation in (bool, int, str):
            taken[name] = coerce(named[name].annotation, value, f"{kind} source", name)
            if named[name].annotation is int:
                check_range(taken[name], {"minimum": 0, "maximum": MAX_NUMBER}, f"{kind} source", name)
    return factory(**taken)


def written_mapping(text: str) -> Any:
    """The mapping in a string such as `{kind: lmdb, path: train}`."""
    return parse_value(text, text, " is not a YAML mapping; write for example '{kind: lmdb, path: train}'")
