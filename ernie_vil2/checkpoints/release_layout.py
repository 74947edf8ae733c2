"""The release's state-dict layout for any size of model: its keys and shapes, how to recognise it, what differs.

Linear weights are [in, out]. Keys and shapes of the base size are those of the published file (350 tensors).
"""

import dataclasses
import math
import re
from collections import Counter

from ..config.model import PIXEL_PROFILES, EfficientNetConfig, ImageTowerConfig, ModelConfig, TextTowerConfig
from ..errors import CheckpointError, ConfigError
from .formats.lazy_tensors import FLOATS, printable, spec_of

TEMPERATURE = "contrastive_loss_mm.temperature_b"
HARMLESS = re.compile(r"visual\.classfy\..+|contrastive_loss_((ii|tt)\.temperature_b|(mm|ii|tt)\.bias_b)")
HARMLESS_SHAPES = {
    f"contrastive_loss_{group}.{name}": (1,) for group in ("mm", "ii", "tt") for name in ("temperature_b", "bias_b")
}
RELEASED_DEPTHS = {768: 12, 1024: 24}
MAX_DEPTH = 1000


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def linear(name, inputs, outputs):
    return {f"{name}.weight": (inputs, outputs), f"{name}.bias": (outputs,)}


def manifest(config: ModelConfig) -> dict:
    """{key: shape} of every tensor that a model of this configuration needs, in the release's order."""
    towers = config.towers()
    shapes = image_manifest(config.image_tower) if "image" in towers else {}
    shapes |= text_manifest(config.text_tower) if "text" in towers else {}
    return shapes | {TEMPERATURE: (1,)} if len(towers) == 2 else shapes


def open_prefixes(config: ModelConfig) -> tuple:
    """Beginnings of the keys of what another library builds: its own names and shapes, which only it knows."""
    found = {"paddleclas": "visual.backbone.", "paddlenlp": "text_model.encoder."}
    return tuple(found[tower.kind] for tower in config.towers().values() if tower.kind in found)


def image_manifest(tower) -> dict:
    """{key: shape} of an image tower, apart from `open_prefixes`."""
    if tower.kind == "efficientnet":
        return efficientnet_manifest(tower)
    if tower.kind == "paddleclas":
        return head("visual.proj", tower)
    return vit_manifest(tower)


def vit_manifest(tower: ImageTowerConfig) -> dict:
    width, hidden, patch = tower.width, int(tower.width * tower.mlp_ratio), tower.patch_size
    shapes = {
        "visual.class_embedding": (1, 1, width),
        "visual.positional_embedding": (1, (tower.image_size // patch) ** 2 + 1, width),
        "visual.patch_embed.proj.weight": (width, 3, patch, patch),
    }
    if tower.patch_bias:
        shapes["visual.patch_embed.proj.bias"] = (width,)
    if tower.pre_norm:
        shapes |= norm("visual.norm_pre", width)
    for index in range(tower.depth):
        block = f"visual.blocks.{index}"
        shapes |= norm(f"{block}.norm1", width) | linear(f"{block}.attn.qkv", width, 3 * width)
        shapes |= linear(f"{block}.attn.proj", width, width) | norm(f"{block}.norm2", width)
        shapes |= linear(f"{block}.mlp.fc1", width, hidden) | linear(f"{block}.mlp.fc2", hidden, width)
    shapes |= norm("visual.norm_post", width)
    if tower.projection:
        shapes["visual.proj.weight"] = (width, tower.projection)
    return shapes


def batch_norm(name, width):
    return norm(name, width) | {f"{name}._mean": (width,), f"{name}._variance": (width,)}


def convolution(name, kernel, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs, kernel, kernel)}


def head(name, tower):
    return linear(name, tower.width, tower.projection) if tower.projection else {}


def efficientnet_manifest(tower: EfficientNetConfig) -> dict:
    shapes = convolution("visual.stem_conv", 3, 3, tower.stem) | batch_norm("visual.stem_norm", tower.stem)
    for index, (kernel, _, inputs, hidden, outputs) in enumerate(tower.blocks()):
        block, squeezed = f"visual.blocks.{index}", inputs // 4
        if hidden != inputs:
            shapes |= convolution(f"{block}.expand_conv", 1, inputs, hidden)
            shapes |= batch_norm(f"{block}.expand_norm", hidden)
        shapes |= convolution(f"{block}.depthwise_conv", kernel, 1, hidden)
        shapes |= batch_norm(f"{block}.depthwise_norm", hidden)
        for name, narrow, wide in (("squeeze", hidden, squeezed), ("excite", squeezed, hidden)):
            shapes |= convolution(f"{block}.{name}", 1, narrow, wide) | {f"{block}.{name}.bias": (wide,)}
        shapes |= convolution(f"{block}.project_conv", 1, hidden, outputs)
        shapes |= batch_norm(f"{block}.project_norm", outputs)
    shapes |= convolution("visual.head_conv", 1, tower.blocks()[-1].outputs, tower.width)
    return shapes | batch_norm("visual.head_norm", tower.width) | head("visual.proj", tower)


def text_manifest(tower) -> dict:
    """{key: shape} of a text tower, apart from `open_prefixes`."""
    return head("text_model.proj", tower) if tower.kind == "paddlenlp" else ernie_manifest(tower)


def ernie_manifest(tower: TextTowerConfig) -> dict:
    width, hidden = tower.width, int(tower.width * tower.mlp_ratio)
    shapes = norm("text_model.ln", width)
    shapes |= {
        "text_model.word_emb.weight": (tower.vocab_size, width),
        "text_model.pos_emb.weight": (tower.positions, width),
    }
    for index in range(tower.depth):
        block = f"text_model.encoder_stack.block.{index}"
        for name in ("q", "k", "v", "o"):
            shapes |= linear(f"{block}.attn.{name}", width, width)
        shapes |= norm(f"{block}.ln1", width) | linear(f"{block}.ffn.i", width, hidden)
        shapes |= linear(f"{block}.ffn.o", hidden, width) | norm(f"{block}.ln2", width)
    shapes |= linear("text_model.pooler", width, width)
    if tower.projection:
        shapes["text_model.proj.weight"] = (width, tower.projection)
    return shapes


def without_numbers(key):
    return re.sub(r"\.\d+\.", ".#.", key)


OFFICIAL = {
    without_numbers(key)
    for key in (
        manifest(ModelConfig())
        | image_manifest(ImageTowerConfig(patch_bias=True, projection=768))
        | text_manifest(TextTowerConfig(projection=768))
    )
}
PADDLENLP = re.compile(r"(ernie_vil\.)?(vision_model\.|text_model\.(embeddings|encoder|pooler\.dense)\.|temperature$)")


def recognise(keys) -> str:
    """Name of the layout that most of these keys follow: official, paddlenlp or unknown."""
    keys = list(keys)
    if 2 * sum(without_numbers(key) in OFFICIAL or bool(HARMLESS.fullmatch(key)) for key in keys) > len(keys):
        return "official"
    if 2 * sum(bool(PADDLENLP.match(key)) for key in keys) > len(keys):
        return "paddlenlp"
    return "unknown"


def infer_config(state, where="the checkpoint") -> ModelConfig:
    """The configuration that the shapes of an official-layout state speak of; what they cannot tell is as released.

    Widths are what most tensors say, so that one wrong tensor is later reported as such. Heads are of 64 columns. A
    file that lacks `norm_pre` is taken for an incomplete one: a model without it keeps its configuration in a model
    directory.
    """
    shapes = {key: spec_of(state, key).shape for key in state}
    image_width = common_side(shapes, r"visual\.(.+\.)?norm\w+\.(weight|bias)", ImageTowerConfig.width)
    text_width = common_side(shapes, r"text_model\.(.+\.)?ln\d?\.(weight|bias)", TextTowerConfig.width)
    image_hidden = common_side(shapes, r"visual\.blocks\.\d+\.mlp\.fc1\.bias", 4 * image_width)
    text_hidden = common_side(shapes, r"text_model\.encoder_stack\.block\.\d+\.ffn\.i\.bias", 4 * text_width)
    patch = side(shapes, "visual.patch_embed.proj.weight", 2, 16)
    tokens = side(shapes, "visual.positional_embedding", 1, (224 // patch) ** 2 + 1)
    positions = side(shapes, "text_model.pos_emb.weight", 0, TextTowerConfig.positions)
    size = max(1, math.isqrt(max(tokens - 1, 0))) * patch
    try:
        config = ModelConfig(
            image_tower=ImageTowerConfig(
                image_size=size,
                patch_size=patch,
                patch_bias="visual.patch_embed.proj.bias" in shapes,
                width=image_width,
                depth=blocks(shapes, "visual.blocks", where),
                heads=heads_of(image_width),
                mlp_ratio=image_hidden / image_width,
                projection=side(shapes, "visual.proj.weight", 1, 0),
            ),
            text_tower=TextTowerConfig(
                vocab_size=side(shapes, "text_model.word_emb.weight", 0, TextTowerConfig.vocab_size),
                positions=positions,
                width=text_width,
                depth=blocks(shapes, "text_model.encoder_stack.block", where),
                heads=heads_of(text_width),
                mlp_ratio=text_hidden / text_width,
                projection=side(shapes, "text_model.proj.weight", 1, 0),
            ),
            max_length=min(ModelConfig.max_length, positions),
            pixels=dataclasses.replace(PIXEL_PROFILES["official"], size=size),
        )
        return ModelConfig.from_dict(config.to_dict(), where)  # which checks every range
    except ConfigError as error:
        raise CheckpointError(f"{where}: its shapes describe no model: {error}") from None


def side(shapes, key, axis, default):
    shape = shapes.get(key, ())
    return shape[axis] if axis < len(shape) and shape[axis] > 0 else default


def common_side(shapes, pattern, default):
    """The length that most vectors of matching names have."""
    found = [shape[0] for key, shape in shapes.items() if len(shape) == 1 and re.fullmatch(pattern, key) and shape[0]]
    return Counter(found).most_common(1)[0][0] if found else default


def blocks(shapes, prefix, where):
    found = [int(match[1]) for key in shapes if (match := re.match(re.escape(prefix) + r"\.(\d{1,9})\.", key))]
    depth = max(found, default=11) + 1
    if depth > MAX_DEPTH:
        raise CheckpointError(
            f"{where}: names a block {prefix}.{depth - 1}, but a tower has at most {MAX_DEPTH}; "
            "take the file again from its source"
        )
    return depth


def heads_of(width):
    return next(heads for heads in range(max(1, width // 64), 0, -1) if width % heads == 0)


def check(state, config: ModelConfig, where) -> list:
    """Notes on harmless differences between `state` and what `config` needs.

    Raises one CheckpointError that names every missing, unexpected, mis-shaped and non-float tensor.
    """
    wanted, found, free = manifest(config), {key: spec_of(state, key) for key in state}, open_prefixes(config)
    unexpected = [key for key in found if key not in wanted and not key.startswith(free)]
    harmless = [
        key
        for key in unexpected
        if HARMLESS.fullmatch(key) and found[key].shape == HARMLESS_SHAPES.get(key, found[key].shape)
    ]
    present = [key for key in found if key in wanted or key in harmless or key.startswith(free)]
    shapes = [
        (key, list(wanted[key]), list(found[key].shape))
        for key in wanted
        if key in found and tuple(found[key].shape) != tuple(wanted[key])
    ]
    problems = {
        "missing": [key for key in wanted if key not in found]
        + [f"{prefix}*" for prefix in free if not any(key.startswith(prefix) for key in found)],
        "unexpected": [printable(key) for key in unexpected if key not in harmless],
        "mis-shaped": [f"{key} (wanted {right}, found {wrong})" for key, right, wrong in shapes],
        "not floating point": [f"{key} ({found[key].dtype})" for key in present if found[key].dtype not in FLOATS],
    }
    problems = {kind: names for kind, names in problems.items() if names}
    if problems:
        counts = ", ".join(f"{len(names)} {kind}" for kind, names in problems.items())
        lists = "".join(f"\n  {kind}:\n" + "\n".join(grouped(names)) for kind, names in problems.items())
        raise CheckpointError(
            f"{where} does not fit the model ({counts} of {len(wanted)} tensors); take the file again from its source, "
            f"or give the configuration that it was written with:{lists}"
        )
    return notes(config, found, harmless)


def notes(config, found, harmless):
    """Sentences on what is unusual and harmless in a state that fits."""
    said = []
    if harmless:
        said.append("not used by the towers: " + ", ".join(harmless))
    kinds = Counter(spec.dtype for spec in found.values() if spec.dtype != "float32")
    said += [f"{count} tensors are stored as {kind} and read as float32" for kind, count in kinds.items()]
    for name, tower in config.towers().items():
        if hasattr(tower, "depth") and tower.depth != RELEASED_DEPTHS.get(tower.width, tower.depth):
            said.append(
                f"the {name} tower has {tower.depth} blocks of width {tower.width}; "
                f"the release has {RELEASED_DEPTHS[tower.width]}"
            )
    return said


def assumptions(config):
    """A note on what `infer_config` cannot know, for towers of a width that was never released."""
    return [
        f"the width {tower.width} of the {name} tower was never released: {counted(tower.heads)}, {tower.activation} "
        f"and epsilon {tower.epsilon} are assumed, give its configuration if they differ"
        for name, tower in config.towers().items()
        if tower.width not in RELEASED_DEPTHS
    ]


def counted(heads):
    """Heads of attention in words."""
    return f"{heads} head{'s' * (heads != 1)}"


def grouped(names):
    """One line for the tensors of each block, all named."""
    lines = {}
    for name in names:
        block = re.match(r"(visual\.blocks\.\d+|text_model\.encoder_stack\.block\.\d+)\.", name)
        lines.setdefault(block[1] if block else name.split(".")[0], []).append(name)
    return ["    " + ", ".join(line) for line in lines.values()]
