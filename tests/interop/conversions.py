"""What the tests of converted text towers share: vocabularies, texts, random weights, and running both sides."""

import ernie_vil2  # isort: skip  its CPU settings reach Paddle
import numpy as np

from ernie_vil2.conversion.convert import convert

WORDS = (
    "[PAD] [CLS] [SEP] [MASK] [UNK] , . ! ? ， 。 ： - ' ( ) 一 二 三 只 个 红 黄 蓝 绿 大 小 的 圆 方 形 猫 狗 在 "
    "左 右 上 下 和 图 片 a the cat dog red blue cafe naive s t x 0 1 2 2022 on left of ##a ##s ##t ##ed ##ing ##1 ##2 "
    "##红 ##fe ##色 ##x b c d e f g ##b ##c ##d ##e ##f ##g"
).split()
TEXTS = (
    "一只红色的猫在左，一只小狗在右。",
    "The red cat, and the dogs on the left: naive Café?",
    "一个 cat 和 2022 个 blue dogs!",
    "CAT-dog (xxab) don't",
    "",
    "猫" * 60,
    "ß İstanbul Ａ１ ﬁx \u200b\ufeff\t猫\n狗 \x00x",
    "未登录的字 and unknownwords",
)
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}


def write_words(folder, words=WORDS):
    """Write vocab.txt, one token a line."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")


def random_paddle(model, scale=0.3):
    """The Paddle model in evaluation with random values everywhere, in norms and biases too."""
    rng = np.random.default_rng(0)
    for key, parameter in model.state_dict().items():
        values = scale * rng.standard_normal(parameter.shape).astype(np.float32)
        parameter.set_value(values + (1 if parameter.ndim == 1 and key.endswith("weight") else 0))
    model.eval()
    return model


def random_torch(model, scale=0.3):
    """The torch model in evaluation with random values everywhere, in norms and biases too."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.add_(1.0)
    return model.eval()


def ids_of(vocab_size, width=20):
    """int64 [4, width] ids, padded with 0."""
    rng, ids = np.random.default_rng(1), np.zeros((4, width), np.int64)
    for row, length in zip(ids, (3, 7, 12, width), strict=True):
        row[:length] = rng.integers(1, vocab_size, length)
    return ids


def converted(folder, tmp_path, **options):
    """(Model, lines) of a folder that was converted, with the check that tools/convert.py makes."""
    lines = convert(folder, tmp_path / "converted", **options)
    return ernie_vil2.load(tmp_path / "converted"), lines


def assert_same(found, wanted):
    """Within 1e-4, cosine at least 0.999999, and not trivially so."""
    assert found.shape == wanted.shape
    assert np.abs(wanted).max() > 0.1 and np.abs(wanted[0] - wanted[1]).max() > 0.01
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    cosine = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() >= 0.999999
