"""Write a model for other projects: a folder for PaddleNLP, or safetensors for torch with a config.json."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..checkpoints import model_directory
from ..checkpoints.formats.lazy_tensors import Float32View
from ..checkpoints.formats.paddle_file import write_pdparams
from ..checkpoints.formats.safetensors_file import write_safetensors
from ..checkpoints.layouts import clip, efficientnet, ernie, ernie_vil, hugging_face, recognise
from ..checkpoints.layouts.any_source import open_source
from ..checkpoints.layouts.layout_record import Layout
from ..checkpoints.layouts.pixels import settings_of
from ..config.model import ModelConfig
from ..data.vocabulary_file import read_vocab
from ..errors import CheckpointError
from ..files.atomic import replace_directory, reported, sync_directory, synced_file, temporary_name
from ..schema import as_dict
from . import check as conversion_check
from .fixed_inputs import fixed_inputs
from .opened import Opened

CHECK = "ernie_vil2_check"
"""The key of a config.json under which the record of the check is kept for people; its reader passes over it."""
IMAGE_LAYOUTS = {"vit": clip.LAYOUTS[0], "efficientnet": recognise.named(efficientnet.TIMM_NAME)}
"""The torch layout of each kind of image tower."""


def write_paddlenlp(opened: Opened, target: Path, check: bool) -> list[str]:
    """Write a folder that PaddleNLP reads: an ErnieViLModel, or an ErnieModel of a text tower alone; notes."""
    towers = list(opened.config.towers())
    if towers == ["image"]:
        raise CheckpointError(f"{opened.source.path} is an image tower alone, which has no form in PaddleNLP's layout")
    kind = (ernie_vil if len(towers) == 2 else ernie).LAYOUTS[0]
    state, settings, said = kind.write(opened.state, opened.config), kind.settings(opened.config), []
    if opened.config.text_tower.epsilon != ernie.EPSILON:
        said.append(
            f"note: PaddleNLP runs the text tower with epsilon {ernie.EPSILON:g} whatever its config.json says, this "
            f"model has {opened.config.text_tower.epsilon:g}: embeddings of texts differ a little there"
        )
    if opened.config.tokenizer != "paddlenlp":
        said.append("note: PaddleNLP sets symbols beyond ASCII apart, this model does not: they get other ids there")
    files = {"vocab.txt": plain_vocab(opened)}
    tokenizer = "ErnieViLTokenizer" if len(towers) == 2 else "ErnieTokenizer"
    files["tokenizer_config.json"] = as_json(tokenizer_settings(opened.config, tokenizer))
    if len(towers) == 2:
        pixels, notes = settings_of(opened.config.pixels, "ErnieViLImageProcessor")
        files["preprocessor_config.json"] = as_json(pixels)
        said += [f"note: {note}" for note in notes]

    def fill(folder):
        write_pdparams(folder / model_directory.PADDLENLP_WEIGHTS, state)

    return said + write_folder(target, fill, files, settings, opened, kind, check)


def write_torch(opened: Opened, target: Path, check: bool) -> list[str]:
    """Write safetensors with torch's [out, in] matrices: the text tower as transformers' ErnieModel, the image tower as
    OpenAI's CLIP names it; a model of both becomes the folders `text` and `image` in `target`."""
    towers, target = list(opened.config.towers()), Path(os.path.realpath(target))
    if len(towers) == 1:
        return WRITERS[towers[0]](opened, target, check)
    if not all((target / name / model_directory.CONFIG).is_file() for name in towers):
        model_directory.refuse_other_target(target)
    made, said = temporary_name(target), []
    with reported(target):
        try:
            for name in towers:
                said += WRITERS[name](opened, made / name, check)
            replace_directory(made, target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return said


def write_torch_text(opened: Opened, target: Path, check: bool) -> list[str]:
    """Write the text tower as transformers' ErnieModel; notes."""
    kind = hugging_face.LAYOUTS[0]
    state = kind.write(opened.state, opened.config)
    files = {
        "vocab.txt": plain_vocab(opened),
        "tokenizer_config.json": as_json(tokenizer_settings(opened.config, "BertTokenizer")),
    }

    def fill(folder):
        with synced_file(folder / model_directory.WEIGHTS) as handle:
            write_safetensors(handle, state, "pt")

    return write_folder(target, fill, files, kind.settings(opened.config), opened, kind, check)


def write_torch_image(opened: Opened, target: Path, check: bool) -> list[str]:
    """Write the image tower as OpenAI's CLIP or timm names it; notes."""
    kind = IMAGE_LAYOUTS.get(opened.config.image_tower.kind)
    if kind is None:
        raise CheckpointError(
            f"an image tower of kind {opened.config.image_tower.kind} has no form for torch here; "
            "write a model directory instead"
        )
    state = kind.write(Float32View(opened.state), opened.config)

    def fill(folder):
        with synced_file(folder / model_directory.WEIGHTS) as handle:
            write_safetensors(handle, state, "pt")

    settings, said = (kind.settings(opened.config), []) if kind.settings else timm_settings(opened.config)
    return said + write_folder(target, fill, {}, settings, opened, kind, check)


def timm_settings(config: ModelConfig) -> tuple[dict[str, Any], list[str]]:
    """(config.json beside an EfficientNet for timm, notes): its padding and pixels.

    `pixels` in it is the profile here, and wins when it is read back, since timm has not every one.
    """
    tower, profile = config.image_tower, config.pixels
    about = {"input_size": [3, profile.size, profile.size]}
    settings = {
        "architecture": f"{'tf_' if tower.padding == 'same' else ''}efficientnet_{tower.variant}",
        "num_classes": 0,
        "pretrained_cfg": about,
        "pixels": as_dict(profile),
    }
    said = []
    if tower.epsilon != efficientnet.TIMM_EPSILONS[tower.padding]:
        settings["model_args"] = {"bn_eps": tower.epsilon}
        said.append(f"note: timm gives these embeddings where the model is created with bn_eps={tower.epsilon:g}")
    if (profile.decoder, profile.resize) == ("pil", "torchvision"):
        about |= {
            # timm takes the floor of size / crop_pct
            "crop_pct": profile.size / ((profile.resize_to or profile.size) + 0.5),
            "interpolation": {"linear": "bilinear"}.get(profile.interpolation, profile.interpolation),
            "mean": list(profile.mean),
            "std": list(profile.std),
        }
    else:
        said.append("note: timm has no form of this model's pixel profile; config.json keeps it for the way back")
    return settings, said


WRITERS = {"text": write_torch_text, "image": write_torch_image}


def write_folder(
    target: Path,
    fill: Callable[[Path], object],
    files: Mapping[str, bytes],
    settings: Mapping[str, Any],
    opened: Opened,
    kind: Layout,
    check: bool,
) -> list[str]:
    """Write `files` {name: bytes} and what `fill(folder)` writes, with config.json last; lines about the check."""
    target = Path(os.path.realpath(target))
    model_directory.refuse_other_target(target)
    made, said = temporary_name(target), []
    with reported(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(made, ignore_errors=True)
        try:
            made.mkdir()
            fill(made)
            for name, data in files.items():
                write_bytes(made / name, data)
            write_bytes(made / model_directory.CONFIG, as_json(settings))
            if check:
                record = checked_folder(made, opened, kind)
                write_bytes(made / model_directory.CONFIG, as_json(settings | {CHECK: record}))
                said = [conversion_check.sentence(record, "the result")]
            sync_directory(made)
            replace_directory(made, target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return said


def checked_folder(made: Path, opened: Opened, kind: Layout) -> dict[str, Any]:
    """The record of running the written folder as its reader would, against the model it was made of."""
    config, inputs = opened.config, fixed_inputs(opened.config)
    if kind is hugging_face.LAYOUTS[0]:
        inputs = inputs._replace(pixels=None)
    elif kind in IMAGE_LAYOUTS.values():
        inputs = inputs._replace(ids=None)
    theirs, reason = conversion_check.theirs_or_reason(open_source(made), kind.name, config, inputs)
    if kind in (*ernie.LAYOUTS, *ernie_vil.LAYOUTS):
        config = dataclasses.replace(config, text_tower=dataclasses.replace(config.text_tower, epsilon=ernie.EPSILON))
    ours = {}
    if theirs is not None:
        ours = conversion_check.run_ours(conversion_check.network_of(Float32View(opened.state), config), inputs)
    record = conversion_check.check_record(theirs, ours, inputs, reason)
    if config != opened.config and theirs is not None:
        record["text_epsilon"] = f"{ernie.EPSILON:g} on both sides, {opened.config.text_tower.epsilon:g} in this model"
    return record


def plain_vocab(opened: Opened) -> bytes:
    """The vocabulary with one token a line, whose id is its line: gaps, and earlier ids of a token that occurs twice,
    hold a name that no text contains."""
    vocab = read_vocab(opened.vocab)
    tokens = {index: token for token, index in vocab.items()}
    lines = [tokens.get(index, f"[unused-{index}]") for index in range(max(tokens) + 1)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def tokenizer_settings(config: ModelConfig, name: str) -> dict[str, Any]:
    """tokenizer_config.json of a tokenizer class."""
    return {"tokenizer_class": name, "do_lower_case": config.lower_case, "model_max_length": config.max_length}


def as_json(content: Mapping[str, Any]) -> bytes:
    """The bytes of a JSON file."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file and see it on the disk."""
    with synced_file(path) as handle:
        handle.write(data)
