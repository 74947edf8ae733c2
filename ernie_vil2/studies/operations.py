"""Operations of a forward pass, counted from a configuration: those of its matrix products, attention included.

A multiplication and an addition are two. A block over L tokens of width W, its MLP r W wide, has products of
L x W x (4 + 2 r) W with its weights, and two of L x L x W for scores and their mixture. Before the blocks stands the
product of patches, after them that of one token with pooler and projection. Norms, activations, softmax, sums and the
lookup of embeddings are not counted: they are less than 1 % of it at the base size.
"""

from ..config.model import PLAIN, ModelConfig
from ..errors import UserError


def tower_flops(width: int, depth: int, length: int, mlp_ratio: float = 4.0) -> float:
    """Operations of a forward pass of a transformer over `length` tokens, two for a multiplication and an addition."""
    matrices = (4 + 2 * mlp_ratio) * width**2
    return depth * (2 * length * matrices + 4 * length**2 * width)


def has_counts(config: ModelConfig) -> bool:
    """Whether the operations of its towers are counted, and it has no layers beside them."""
    if len(config.towers()) < 2:
        return False
    return (config.system, config.image_tower.kind, config.text_tower.kind) == (PLAIN, "vit", "ernie")


def view_flops(config: ModelConfig, length: int | None = None) -> tuple[float, float]:
    """(image view, text view): operations of a forward pass; UserError for a tower whose operations are not counted.

    length: tokens of the text, config.max_length where it is None.
    """
    image, text = config.image_tower, config.text_tower
    if not has_counts(config):
        kinds = " and ".join(tower.kind for tower in config.towers().values())
        raise UserError(
            f"operations are counted for the system {PLAIN} with towers of kind vit and ernie, not for {config.system} "
            f"with {kinds}; measure that"
        )
    patches = (image.image_size // image.patch_size) ** 2
    stem = 2 * patches * 3 * image.patch_size**2 * image.width
    return (
        stem + tower_flops(image.width, image.depth, patches + 1, image.mlp_ratio) + 2 * image.width * image.projection,
        tower_flops(text.width, text.depth, length or config.max_length, text.mlp_ratio)
        + 2 * text.width * (text.width + text.projection),
    )
