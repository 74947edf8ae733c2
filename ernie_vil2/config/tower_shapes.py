"""Keys and shapes of what a tower holds, by its kind, in the release's names and order; Linear weights are [in, out].

Keys are without the prefix of the tower's side. Those of the base size are in the published file.
"""

from .tower_fields import EfficientNetConfig, ImageTowerConfig, PaddleClasConfig, PaddleNLPConfig, TextTowerConfig

Shapes = dict[str, tuple[int, ...]]


def vit_shapes(tower: ImageTowerConfig) -> Shapes:
    """{key: shape} of a vision transformer."""
    width, hidden, patch = tower.width, int(tower.width * tower.mlp_ratio), tower.patch_size
    shapes = {
        "class_embedding": (1, 1, width),
        "positional_embedding": (1, (tower.image_size // patch) ** 2 + 1, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
    }
    if tower.patch_bias:
        shapes["patch_embed.proj.bias"] = (width,)
    if tower.pre_norm:
        shapes |= norm("norm_pre", width)
    for index in range(tower.depth):
        block = f"blocks.{index}"
        shapes |= norm(f"{block}.norm1", width) | linear(f"{block}.attn.qkv", width, 3 * width)
        shapes |= linear(f"{block}.attn.proj", width, width) | norm(f"{block}.norm2", width)
        shapes |= linear(f"{block}.mlp.fc1", width, hidden) | linear(f"{block}.mlp.fc2", hidden, width)
    shapes |= norm("norm_post", width)
    if tower.projection:
        shapes["proj.weight"] = (width, tower.projection)
    return shapes


def efficientnet_shapes(tower: EfficientNetConfig) -> Shapes:
    """{key: shape} of an EfficientNet with its head."""
    shapes = convolution("stem_conv", 3, 3, tower.stem) | batch_norm("stem_norm", tower.stem)
    for index, (kernel, _, inputs, hidden, outputs) in enumerate(tower.blocks()):
        block, squeezed = f"blocks.{index}", inputs // 4
        if hidden != inputs:
            shapes |= convolution(f"{block}.expand_conv", 1, inputs, hidden)
            shapes |= batch_norm(f"{block}.expand_norm", hidden)
        shapes |= convolution(f"{block}.depthwise_conv", kernel, 1, hidden)
        shapes |= batch_norm(f"{block}.depthwise_norm", hidden)
        for name, narrow, wide in (("squeeze", hidden, squeezed), ("excite", squeezed, hidden)):
            shapes |= convolution(f"{block}.{name}", 1, narrow, wide) | {f"{block}.{name}.bias": (wide,)}
        shapes |= convolution(f"{block}.project_conv", 1, hidden, outputs)
        shapes |= batch_norm(f"{block}.project_norm", outputs)
    shapes |= convolution("head_conv", 1, tower.blocks()[-1].outputs, tower.width)
    return shapes | batch_norm("head_norm", tower.width) | head_shapes(tower)


def ernie_shapes(tower: TextTowerConfig) -> Shapes:
    """{key: shape} of an ERNIE."""
    width, hidden = tower.width, int(tower.width * tower.mlp_ratio)
    shapes = norm("ln", width)
    shapes |= {"word_emb.weight": (tower.vocab_size, width), "pos_emb.weight": (tower.positions, width)}
    if tower.token_types:
        shapes["type_emb.weight"] = (tower.token_types, width)
    for index in range(tower.depth):
        block = f"encoder_stack.block.{index}"
        for name in ("q", "k", "v", "o"):
            shapes |= linear(f"{block}.attn.{name}", width, width)
        shapes |= norm(f"{block}.ln1", width) | linear(f"{block}.ffn.i", width, hidden)
        shapes |= linear(f"{block}.ffn.o", hidden, width) | norm(f"{block}.ln2", width)
    shapes |= linear("pooler", width, width)
    if tower.projection:
        shapes["proj.weight"] = (width, tower.projection)
    return shapes


def head_shapes(tower: EfficientNetConfig | PaddleClasConfig | PaddleNLPConfig) -> Shapes:
    """{key: shape} of the head on pooled features, which is all that we have of another library's tower."""
    return linear("proj", tower.width, tower.projection) if tower.projection else {}


def norm(name: str, width: int) -> Shapes:
    """{key: shape} of a layer norm."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    """{key: shape} of a Linear with a bias."""
    return {f"{name}.weight": (inputs, outputs), f"{name}.bias": (outputs,)}


def batch_norm(name: str, width: int) -> Shapes:
    """{key: shape} of a batch norm with its statistics."""
    return norm(name, width) | {f"{name}._mean": (width,), f"{name}._variance": (width,)}


def convolution(name: str, kernel: int, inputs: int, outputs: int) -> Shapes:
    """{key: shape} of a convolution without a bias; inputs: channels of one group."""
    return {f"{name}.weight": (outputs, inputs, kernel, kernel)}
