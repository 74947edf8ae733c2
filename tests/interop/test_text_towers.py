"""Converted text towers against the models that they come from, with random weights: embeddings and token ids."""

import json
import unicodedata

import paddle
import pytest
import torch
import transformers
from paddlenlp import transformers as paddlenlp

import ernie_vil2  # noqa: F401  its CPU settings reach Paddle
from ernie_vil2.checkpoints.formats.lazy_tensors import Float32View
from ernie_vil2.conversion.convert import convert
from ernie_vil2.conversion.fixed_inputs import Inputs
from ernie_vil2.conversion.opened import open_any
from ernie_vil2.conversion.their_models import RUNNERS
from ernie_vil2.data.tokenizer import Tokenizer
from tests.interop.conversions import (
    SMALL,
    TEXTS,
    WORDS,
    assert_same,
    converted,
    ids_of,
    random_paddle,
    random_torch,
    write_words,
)

ERNIES = {
    "3.0, task": {"type_vocab_size": 4, "use_task_id": True, "task_type_vocab_size": 3},
    "3.0, another task": {"type_vocab_size": 4, "use_task_id": True, "task_id": 2},
    "3.0 tiny, no task": {"type_vocab_size": 4, "use_task_id": False, "hidden_size": 48, "num_attention_heads": 12},
    "2.0 zh, relu": {"type_vocab_size": 4, "hidden_act": "relu"},
    "no token types": {"type_vocab_size": 0},
    "another epsilon": {"layer_norm_eps": 1e-3},
}
KINDS = {
    "ernie": (transformers.ErnieConfig, transformers.ErnieModel),
    "ernie task": (transformers.ErnieConfig, transformers.ErnieModel),
    "bert": (transformers.BertConfig, transformers.BertModel),
}


def torch_model(kind, **settings):
    config, model = KINDS[kind]
    if kind == "ernie task":
        settings = {"use_task_id": True, "task_type_vocab_size": 3} | settings
    return random_torch(model(config(vocab_size=len(WORDS), **SMALL, **settings)))


def torch_pooled(model, ids):
    with torch.no_grad():
        found = torch.from_numpy(ids)
        return model(found, attention_mask=(found != 0).long()).pooler_output.numpy()


def ours(model, ids):
    model.network.eval()
    with paddle.no_grad():
        return model.network.encode_text(paddle.to_tensor(ids)).numpy()


@pytest.mark.parametrize("name", ERNIES)
def test_ernie_of_paddlenlp(tmp_path, name):
    model = random_paddle(paddlenlp.ErnieModel(paddlenlp.ErnieConfig(vocab_size=len(WORDS), **(SMALL | ERNIES[name]))))
    model.save_pretrained(str(tmp_path / "source"))
    write_words(tmp_path / "source")
    mine, lines = converted(tmp_path / "source", tmp_path)
    ids = ids_of(len(WORDS))
    assert_same(ours(mine, ids), model(paddle.to_tensor(ids))[1].numpy())
    assert mine.config.text_tower.epsilon == 1e-12 and mine.config.image_tower is None
    check = json.loads((tmp_path / "converted/config.json").read_text())["extra"]["check"]
    assert check["how"] == "paddlenlp's ErnieModel" and check["cosine"]["text"] > 0.999999
    assert any(line.startswith("check: text embeddings differ by at most") for line in lines)


def test_ernie_of_paddlenlp_with_a_head(tmp_path):
    model = random_paddle(paddlenlp.ErnieForMaskedLM(paddlenlp.ErnieConfig(vocab_size=len(WORDS), **SMALL)))
    model.save_pretrained(str(tmp_path / "source"))
    write_words(tmp_path / "source")
    mine, lines = converted(tmp_path / "source", tmp_path)
    ids = ids_of(len(WORDS))
    assert_same(ours(mine, ids), model.ernie(paddle.to_tensor(ids))[1].numpy())
    assert any("left out" in line and "cls" in line for line in lines)


@pytest.mark.parametrize("name", ("3.0, task", "2.0 zh, relu"))
def test_back_to_paddlenlp(tmp_path, name):
    """Written for PaddleNLP, its own from_pretrained computes what our tower does, and its tokenizer gives our ids."""
    model = random_paddle(paddlenlp.ErnieModel(paddlenlp.ErnieConfig(vocab_size=len(WORDS), **SMALL | ERNIES[name])))
    model.save_pretrained(str(tmp_path / "source"))
    write_words(tmp_path / "source")
    mine, _ = converted(tmp_path / "source", tmp_path)
    convert(tmp_path / "converted", tmp_path / "back", "paddlenlp")
    back = paddlenlp.ErnieModel.from_pretrained(str(tmp_path / "back"))
    back.eval()
    ids = ids_of(len(WORDS))
    assert_same(back(paddle.to_tensor(ids))[1].numpy(), ours(mine, ids))
    assert_same_ids(mine, paddlenlp.ErnieTokenizer.from_pretrained(str(tmp_path / "back")))


@pytest.mark.parametrize("form", ("safetensors", "bin", "old bin", "shards", "sharded bin"))
@pytest.mark.parametrize("kind", KINDS)
def test_hugging_face(tmp_path, kind, form):
    folder = tmp_path / "source"
    model = torch_model(kind, layer_norm_eps=1e-5 if kind == "ernie" else 1e-12)
    model.save_pretrained(
        folder,
        safe_serialization=form not in ("bin", "old bin", "sharded bin"),
        max_shard_size="20KB" if "shard" in form else "5GB",
    )
    if form == "old bin":
        torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    write_words(folder)
    mine, _ = converted(folder, tmp_path)
    ids = ids_of(len(WORDS))
    assert_same(ours(mine, ids), torch_pooled(model, ids))
    check = json.loads((tmp_path / "converted/config.json").read_text())["extra"]["check"]
    assert check["how"].startswith("transformers'") and check["versions"]["torch"]


def test_masked_language_model_with_old_names(tmp_path):
    """A `.bin` of Chinese RoBERTa-wwm's age: `bert.` before the keys, gamma and beta, a head for masked words."""
    model = torch_model("bert")
    state = {}
    for key, value in model.state_dict().items():
        key = key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        state[f"bert.{key}"] = value
    state["cls.predictions.bias"] = torch.zeros(len(WORDS))
    state["bert.embeddings.position_ids"] = torch.arange(40)[None]
    folder = tmp_path / "source"
    write_words(folder)
    model.config.save_pretrained(folder)
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    mine, lines = converted(folder, tmp_path)
    ids = ids_of(len(WORDS))
    assert_same(ours(mine, ids), torch_pooled(model, ids))
    assert any("1 tensors of `cls`" in line for line in lines)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_half_precision(tmp_path, dtype):
    model = torch_model("bert").to(dtype)
    model.save_pretrained(tmp_path / "source")
    write_words(tmp_path / "source")
    mine, _ = converted(tmp_path / "source", tmp_path)
    ids = ids_of(len(WORDS))
    assert_same(ours(mine, ids), torch_pooled(model.float(), ids))


def test_a_training_checkpoint_of_parallel_training(tmp_path):
    """{'state_dict': module. ...} with an optimiser; config.json and vocabulary named on the command line."""
    model = torch_model("bert")
    adam = torch.optim.AdamW(model.parameters())
    wrapped = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": wrapped, "optimizer": adam.state_dict()}, tmp_path / "last.pt")
    write_words(tmp_path)
    model.config.save_pretrained(tmp_path)
    mine, lines = converted(tmp_path / "last.pt", tmp_path, settings=tmp_path / "config.json")
    ids = ids_of(len(WORDS))
    assert_same(ours(mine, ids), torch_pooled(model, ids))
    assert any("`module.`" in line for line in lines) and any("state_dict" in line for line in lines)


def test_back_to_transformers(tmp_path):
    """PaddleNLP's ERNIE becomes an ErnieModel of transformers, whose from_pretrained takes it without a warning."""
    model = random_paddle(
        paddlenlp.ErnieModel(paddlenlp.ErnieConfig(vocab_size=len(WORDS), **SMALL, type_vocab_size=4))
    )
    model.save_pretrained(str(tmp_path / "source"))
    write_words(tmp_path / "source")
    mine, _ = converted(tmp_path / "source", tmp_path)
    convert(tmp_path / "converted", tmp_path / "back", "torch")
    back, report = transformers.ErnieModel.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report.values())
    ids = ids_of(len(WORDS))
    assert_same(torch_pooled(back.eval(), ids), ours(mine, ids))
    assert_same_ids(mine, transformers.BertTokenizer.from_pretrained(tmp_path / "back"))
    again, _ = converted(tmp_path / "back", tmp_path / "again")
    assert_same(ours(again, ids), ours(mine, ids))


@pytest.mark.parametrize("kind", ("ernie task", "bert"))
def test_numpy_computes_what_transformers_does(tmp_path, kind):
    """So the check is as good where the library is not installed."""
    model = torch_model(kind)
    model.save_pretrained(tmp_path / "source")
    write_words(tmp_path / "source")
    opened = open_any(tmp_path / "source")
    ids = ids_of(len(WORDS))
    plain = RUNNERS[opened.layout.name][1]
    found = plain(Float32View(opened.source.state), opened.source.settings, opened.config, Inputs(ids, None))
    assert_same(found["text"], torch_pooled(model, ids))


def assert_same_ids(mine, tokenizer, texts=TEXTS):
    """Ids of ours and of the source's tokenizer on Chinese, English, mixed and odd texts."""
    length = mine.config.max_length
    for text in texts:
        wanted = tokenizer(text, max_length=length, truncation=True)["input_ids"]
        assert mine.tokenize(text)[0].tolist() == list(wanted), text


@pytest.mark.parametrize("lower", (True, False))
def test_tokenizers_of_transformers(tmp_path, lower):
    folder = tmp_path / "source"
    torch_model("bert").save_pretrained(folder)
    write_words(folder)
    transformers.BertTokenizer(folder / "vocab.txt", do_lower_case=lower).save_pretrained(folder)
    mine, _ = converted(folder, tmp_path)
    assert mine.config.lower_case is lower
    assert_same_ids(mine, transformers.BertTokenizer.from_pretrained(folder))
    assert_same_ids(mine, transformers.BertTokenizerFast.from_pretrained(folder))


def test_every_code_point_and_who_differs(tmp_path):
    """Each character within and after a word: equal to transformers' Python tokenizer everywhere; the one in Rust knows
    another Unicode version; PaddleNLP's, which sets symbols beyond ASCII apart, has rules of its own here."""
    write_words(tmp_path)
    path = str(tmp_path / "vocab.txt")
    mine, slow = Tokenizer(path), transformers.BertTokenizer(path)
    as_theirs = Tokenizer(path, rules="paddlenlp")
    fast, theirs = transformers.BertTokenizerFast(path), paddlenlp.ErnieTokenizer(path)
    rust = []
    codes = [*range(0x600), *range(0x1E00, 0x2600, 3), *range(0x2F00, 0x3300, 3), *range(0xF900, 0x10000, 5)]
    for character in map(chr, codes):
        text = f"a{character}b cat{character}"
        wanted = mine.encode(text)[0].tolist()
        assert slow(text)["input_ids"] == wanted, hex(ord(character))
        assert theirs(text)["input_ids"] == as_theirs.encode(text)[0].tolist(), hex(ord(character))
        if fast(text)["input_ids"] != wanted:
            rust.append(character)
    assert all(unicodedata.category(character) == "Cn" for character in rust), sorted(map(hex, map(ord, rust)))


def test_tokenizer_of_paddlenlp(tmp_path):
    folder = tmp_path / "source"
    model = paddlenlp.ErnieModel(paddlenlp.ErnieConfig(vocab_size=len(WORDS), **SMALL))
    random_paddle(model).save_pretrained(str(folder))
    write_words(folder)
    tokenizer = paddlenlp.ErnieTokenizer(str(folder / "vocab.txt"))
    tokenizer.save_pretrained(str(folder))
    mine, _ = converted(folder, tmp_path)
    assert_same_ids(mine, tokenizer)
