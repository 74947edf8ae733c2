"""Convert weights from any layout that is known to another, and check the result by running it.

Everything is written under a temporary name, checked there, and renamed last.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..checkpoints import model_directory
from ..checkpoints.formats.lazy_tensors import Float32View
from ..checkpoints.formats.paddle_file import write_pdparams
from ..checkpoints.layouts import official
from ..checkpoints.layouts.any_source import read_json
from ..checkpoints.layouts.brivl import layout as brivl
from ..checkpoints.layouts.brivl.sizes import SYSTEM as BRIVL
from ..config.model import PLAIN
from ..errors import CheckpointError, ConfigError
from ..files.atomic import atomic_file, replace_directory, reported, temporary_name
from ..files.claim import Claims
from ..files.leftovers import UNCHECKED
from . import check as conversion_check
from .brivl_file import checked_model, write_brivl
from .fixed_inputs import Inputs, Result, fixed_inputs
from .opened import Opened, described, open_any
from .targets import write_paddlenlp, write_torch

FILES = {"official": "the release's file", BRIVL: "a torch file"}
"""Targets that are one file, and what that is"""


def convert(
    source: str | Path,
    target: str | Path,
    to: str | None = None,
    vocab: str | Path | None = None,
    settings: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    check: bool = True,
    replace: bool = False,
) -> list[str]:
    """Write `target` from `source` and return lines that say what was recognised, left out, checked and written.

    to: one of TARGETS; by default `official` for a name that ends with .pdparams, else `model-dir`. A target that
    exists is refused unless `replace` is set. vocab and settings (a config.json) go before those beside the source;
    options {name: value} say what it cannot tell: activation, heads, epsilon, pixels (a preset's name or a mapping),
    projection (false leaves it out), image_size, max_length, twins (false leaves them out). With `check`, the result is
    loaded back and compared with the source on fixed inputs (BriVL: bit for bit), and the record of it is kept in
    config.json. Raises UserError and writes nothing when the source does not fit, is not finite, has no form in the
    wanted layout, or the check fails.
    """
    to = to or ("official" if Path(target).suffix == ".pdparams" else "model-dir")
    if to not in TARGETS:
        raise CheckpointError(f"--to is {to!r}; give one of {', '.join(TARGETS)}")
    claim_target(target, [source, vocab, settings], to, replace)
    target = Path(target)
    opened = open_any(source, vocab, settings, options)
    if to != "model-dir" and opened.config.system != (BRIVL if to == BRIVL else PLAIN):
        raise ConfigError(
            f"{source} is of the system {opened.config.system}, whose layers the layout {to} has no place for; write a "
            "model directory instead"
        )
    lines = described(opened)
    said = WRITERS[to](opened, target, check)
    return [*lines, *said, f"wrote {target}"]


def claim_target(target: str | Path, inputs: Sequence[str | Path | None], to: str, replace: bool) -> None:
    """UserError for a target that would destroy something, or whose name is that of another layout."""
    if Path(target).suffix == ".pdparams" and to != "official":
        raise CheckpointError(
            f"--to {to} writes {FILES.get(to, 'a folder')}, but {target} is the name of a file of Paddle; leave out "
            "the ending, or leave out --to for the release's file"
        )
    claims = Claims("convert", inputs, replace)
    if to in FILES:
        claims.file(target)
    else:
        claims.folder(target, "a model directory", lambda path: False, is_converted)


def is_converted(path: Path) -> bool:
    """Whether a folder is a model directory, or holds one of each tower, as those for torch do."""
    return all(map(model_directory.is_model, (path / "text", path / "image"))) or model_directory.is_model(path)


def write_model(opened: Opened, target: Path, check: bool) -> list[str]:
    """Write a model directory; lines about its check."""
    model_directory.refuse_other_target(target)
    made = temporary_name(f"{target}{UNCHECKED}")
    extra = {"converted_from": opened.layout.name}
    try:
        model_directory.save_model(made, opened.state, opened.config, opened.vocab, extra=extra)
        said = []
        if check:
            record = checked_directory(opened, made)
            content = read_json(made / model_directory.CONFIG, required=True)
            content["extra"]["check"] = record
            with reported(target), atomic_file(made / model_directory.CONFIG) as handle:
                handle.write(
                    (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
                )
            said.append(conversion_check.sentence(record))
        with reported(target):
            replace_directory(made, target)
        return said
    finally:
        shutil.rmtree(made, ignore_errors=True)


def checked_directory(opened: Opened, made: Path) -> dict[str, Any]:
    """The record of comparing a model directory with the source it was made from."""
    from ..inference.model import load

    if opened.layout in brivl.LAYOUTS:
        return checked_model(opened, made)
    inputs = fixed_inputs(opened.config)
    if opened.layout in official.LAYOUTS:
        theirs, reason = run_official(opened, inputs), None
    else:
        theirs, reason = conversion_check.theirs_or_reason(opened.source, opened.layout.name, opened.config, inputs)
    network = load(made).network
    ours = {} if theirs is None else conversion_check.run_ours(network, inputs)
    return conversion_check.check_record(theirs, ours, inputs, reason)


def run_official(opened: Opened, inputs: Inputs) -> Result:
    """The Result of weights in the release's own keys, run from the source."""
    network = conversion_check.network_of(Float32View(opened.state), opened.config)
    how = "this project, from the source's file"
    return Result(conversion_check.run_ours(network, inputs), how, {})


def write_official(opened: Opened, target: Path, check: bool) -> list[str]:
    """Write a `.pdparams` in the release's keys; lines about it."""
    if len(opened.config.towers()) < 2:
        raise CheckpointError(
            f"{opened.source.path} holds only the {', '.join(opened.config.towers())} tower, while the release's file "
            "holds both; write a model directory instead"
        )
    write_pdparams(target, opened.state)
    return ["note: a .pdparams holds no configuration; keep config.json and give it with --config to come back"]


WRITERS = {
    "model-dir": write_model,
    "official": write_official,
    "paddlenlp": write_paddlenlp,
    "torch": write_torch,
    BRIVL: write_brivl,
}
TARGETS = tuple(WRITERS)
