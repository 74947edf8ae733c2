"""A BriVL that builds and takes a step in a fraction of a second: `model` of a configuration, and what trains it."""

PIXELS = {"decoder": "pil", "interpolation": "tensor", "resize": "square", "size": 64, "wide_range": "clipped"}
IMAGE_TOWER = {
    "kind": "efficientnet",
    "variant": "b0",
    "width_factor": 0.1,
    "depth_factor": 0.2,
    "image_size": 64,
    "padding": "same",
    "projection": 0,
    "norm_momentum": 0.9,
}
MODEL = {
    "system": "brivl",
    "settings": {
        "embed_dim": 24,
        "hidden": 32,
        "feed_forward": 40,
        "layers": 1,
        "image_heads": 2,
        "text_heads": 2,
        "most_boxes": 4,
    },
    "max_length": 32,
    "fixed_length": True,
    "pixels": PIXELS,
    "image_tower": IMAGE_TOWER,
    "text_tower": {"vocab_size": 0, "positions": 32, "width": 32, "depth": 2, "heads": 2, "mlp_ratio": 2.0},
}
OBJECTIVE = {"pairs": [["image", "caption"]], "negatives": {"kind": "queue", "size": 29, "momentum": 0.8}}
DATA = {
    "train": {"kind": "scenes", "size": 50, "image_size": 64, "languages": ["zh"]},
    "augmentation": {},
    "workers": 2,
}


def tiny_model(towers=None, **settings):
    """MODEL with other settings of the system; towers: {image_tower or text_tower: its other fields}."""
    found = {**MODEL, "settings": {**MODEL["settings"], **settings}}
    return found | {name: {**MODEL[name], **fields} for name, fields in (towers or {}).items()}


def sharpen(model):
    """Let a random image tower tell images apart: under statistics that were never taken its maps are nearly 0."""
    for name, value in model.named_parameters():
        if name.startswith("visual.") and name.endswith("norm.weight"):
            value.set_value(1.5 * value)
