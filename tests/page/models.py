"""Small models that know the drawn shapes, trained on them in seconds: their answers are as a person expects them."""

import yaml

from ernie_vil2.config.load import load_run
from ernie_vil2.data.vocabulary_file import write_vocab
from ernie_vil2.training.trainer import Trainer
from tests.page.pictures import COLOURS, GROUNDS, SHAPES, captions

TOWER = {"heads": 4, "activation": "relu", "dropout": 0.0}
STEPS = 150


def write_vocabulary(path):
    """The words of all captions, characters one by one, as a vocabulary file."""
    texts = " ".join(text for s in SHAPES for c in COLOURS for g in GROUNDS for text in captions(s, c, g))
    chinese = sorted({letter for letter in texts if letter > "\u2fff"})
    english = sorted({word for word in texts.split() if word.isascii()})
    write_vocab(["[PAD]", "[CLS]", "[SEP]", "[MASK]", *chinese, *english, "[UNK]"], path)


def train_model(folder, rows, seed=0):
    """Folder of a model, trained below `folder` on the pictures of rows.jsonl."""
    folder.mkdir(parents=True)
    write_vocabulary(folder / "vocab.txt")
    config = {
        "seed": seed,
        "output": str(folder / "run"),
        "model": {
            "max_length": 24,
            "pixels": {"size": 48},
            "image_tower": {"image_size": 48, "patch_size": 12, "width": 64, "depth": 2, "projection": 64, **TOWER},
            "text_tower": {"vocab_size": 0, "positions": 24, "width": 64, "depth": 1, **TOWER},
        },
        "data": {"train": str(rows), "vocab": str(folder / "vocab.txt"), "workers": 0},
        "objective": {"pairs": [["image", "caption"], ["image", "tags"], ["caption", "caption'"]]},
        "optimizer": {"lr": 2e-3, "final_lr": 1e-4, "warmup": 10},
        "train": {"steps": STEPS, "batch_size": 48, "log_every": STEPS},
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return Trainer(load_run(path)).run()
