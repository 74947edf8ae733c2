"""Text towers of PaddleNLP and Hugging Face: what NumPy computes from their keys, and what cannot be taken."""

import json

import numpy as np
import paddle
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.formats.paddle_file import load_pdparams
from ernie_vil2.checkpoints.layouts import text_tower
from ernie_vil2.conversion.convert import convert
from ernie_vil2.conversion.opened import open_any
from ernie_vil2.errors import UserError
from tests.checkpoints.formats.torch_zips import legacy_file, state_file
from tests.checkpoints.layouts.foreign import (
    DEPTH,
    LENGTH,
    ROWS,
    SETTINGS,
    WIDTH,
    paddle_ernie,
    torch_bert,
    write_source,
)


def refused(*args, **options):
    """The one sentence of a conversion that does not take place."""
    with pytest.raises(UserError) as caught:
        convert(*args, **options)
    return str(caught.value)


def check_of(path):
    return json.loads((path / "config.json").read_text())["extra"]["check"]


def assert_checked(path):
    """The stored check says that the source, run by itself, computes the same."""
    check = check_of(path)
    assert check["largest_difference"]["text"] < 1e-5 and check["cosine"]["text"] > 0.999999, check


SOURCES = {
    "PaddleNLP": (paddle_ernie, SETTINGS | {"use_task_id": True, "task_id": 0, "type_vocab_size": 4}),
    "PaddleNLP, another task": (paddle_ernie, SETTINGS | {"use_task_id": True, "task_id": 2}),
    "PaddleNLP, no task": (lambda: paddle_ernie(tasks=0), SETTINGS | {"use_task_id": False}),
    "PaddleNLP, task not used": (paddle_ernie, SETTINGS | {"use_task_id": False}),
    "PaddleNLP under ernie.": (lambda: paddle_ernie("ernie."), SETTINGS),
    "PaddleNLP, old settings": (paddle_ernie, {"init_args": [SETTINGS], "init_class": "ErnieForTokenClassification"}),
    "BERT": (torch_bert, SETTINGS | {"model_type": "bert", "layer_norm_eps": 1e-12}),
    "BERT under bert.": (lambda: torch_bert("bert."), SETTINGS | {"hidden_act": "relu"}),
    "ERNIE": (lambda: torch_bert("ernie.", tasks=3), SETTINGS | {"layer_norm_eps": 1e-5, "use_task_id": True}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_embeddings_are_the_source_s(tmp_path, name):
    state, settings = SOURCES[name][0](), SOURCES[name][1]
    kind = "model_state.pdparams" if name.startswith("Paddle") else "model.safetensors"
    lines = convert(write_source(tmp_path / "source", state, settings, kind), tmp_path / "model")
    assert_checked(tmp_path / "model")
    model = ernie_vil2.load(tmp_path / "model")
    assert model.encode_text(["一只猫", "a cat"]).shape == (2, WIDTH)
    assert model.config.image_tower is None and model.config.text_tower.heads == 4 and model.config.max_length == LENGTH
    assert model.config.text_tower.epsilon == (
        settings.get("layer_norm_eps", 1e-12) if "BERT" in name or name == "ERNIE" else 1e-12
    )
    assert f"text tower ernie {DEPTH} x {WIDTH}, {ROWS} tokens" in lines[0]


def test_padding_and_the_row_of_the_padding_token_do_not_matter(tmp_path):
    state = paddle_ernie()
    convert(write_source(tmp_path / "a", state), tmp_path / "first")
    state["embeddings.word_embeddings.weight"][0] = 9.0
    convert(write_source(tmp_path / "b", state), tmp_path / "second")
    found = []
    for name in ("first", "second"):
        model = ernie_vil2.load(tmp_path / name)
        model.network.eval()
        ids = np.array([[1, 5, 2], [1, 2, 0]], np.int64)
        with paddle.no_grad():
            found.append(model.network.encode_text(paddle.to_tensor(ids)).numpy())
            alone = model.network.encode_text(paddle.to_tensor(ids[1:, :2])).numpy()
        np.testing.assert_allclose(found[-1][1:], alone, atol=1e-6)
    np.testing.assert_allclose(*found, atol=1e-6)


@pytest.mark.parametrize("write", (state_file, legacy_file), ids=("zip", "legacy"))
@pytest.mark.parametrize("prefix", ("", "module.", "module.model."))
def test_torch_files_with_prefixes(tmp_path, write, prefix):
    """The same model directory, bit for bit, from safetensors and from `.bin` in both forms, with any prefix."""
    state = torch_bert()
    convert(write_source(tmp_path / "plain", state, name="model.safetensors"), tmp_path / "wanted")
    folder = write_source(tmp_path / "source", {}, name="model.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(write({prefix + key: value for key, value in state.items()}))
    lines = convert(folder, tmp_path / "model")
    assert (tmp_path / "model/model.safetensors").read_bytes() == (tmp_path / "wanted/model.safetensors").read_bytes()
    assert any(f"`{prefix}`" in line for line in lines) == bool(prefix)


def test_a_training_checkpoint_by_its_file(tmp_path):
    """{'epoch', 'state_dict'} outside any folder: vocabulary, config.json and options are named."""
    source = write_source(tmp_path / "other", {}, SETTINGS | {"hidden_act": "relu"})
    state = {f"module.bert.{key}": value for key, value in torch_bert().items()}
    state["module.cls.predictions.bias"] = np.zeros(ROWS, np.float32)
    path = tmp_path / "last.pt"
    path.write_bytes(state_file(state, lambda plan: {"epoch": 1, "state_dict": plan}))
    lines = convert(path, tmp_path / "model", vocab=source / "vocab.txt", settings=source / "config.json")
    assert ernie_vil2.load(tmp_path / "model").config.text_tower.activation == "relu"
    said = "\n".join(lines)
    assert "`module.`" in said and "state_dict" in said and "1 tensors of `cls`" in said


def test_without_config_json_what_is_assumed_is_said(tmp_path):
    folder = write_source(tmp_path / "source", torch_bert(), None, "model.safetensors")
    lines = "\n".join(convert(folder, tmp_path / "model"))
    assert "no config.json says the heads" in lines and "no config.json says the activation" in lines
    convert(folder, tmp_path / "model", replace=True, options={"heads": 8, "activation": "quick_gelu", "epsilon": 1e-6})
    tower = ernie_vil2.load(tmp_path / "model").config.text_tower
    assert (tower.heads, tower.activation, tower.epsilon) == (8, "quick_gelu", 1e-6)
    assert_checked(tmp_path / "model")
    assert "takes no option pixels" in refused(folder, tmp_path / "x", options={"pixels": "clip"})


def test_options_that_overrule_config_json_are_said(tmp_path):
    folder = write_source(tmp_path / "source", torch_bert(), SETTINGS | {"layer_norm_eps": 1e-6}, "model.safetensors")
    options = {"heads": 8, "activation": "gelu", "epsilon": 1e-5}
    lines = convert(folder, tmp_path / "model", options=options, check=False)
    assert "note: heads is 8, as asked for, where its own settings say 4" in lines
    assert "note: epsilon is 1e-05, as asked for, where its own settings say 1e-06" in lines
    assert not any("activation" in line for line in lines)
    said = refused(folder, tmp_path / "x", options={"activation": "quickgelu"})
    assert said == (
        "the option activation is 'quickgelu', but must be one of quick_gelu, gelu, relu; "
        "did you mean activation=quick_gelu?"
    )


def changed(state, **changes):
    """The state with tensors left out (None) or replaced, by the end of their keys."""
    for ending, value in changes.items():
        (key,) = (key for key in state if key.endswith(ending.replace("__", ".")))
        state = {k: v for k, v in state.items() if k != key} | ({} if value is None else {key: value})
    return state


BAD = {
    "no pooler": (lambda: changed(torch_bert(), pooler__dense__weight=None), {}, "has no pooler"),
    "missing bias": (lambda: changed(torch_bert(), **{"0__output__dense__bias": None}), {}, "1 missing"),
    "mis-shaped": (
        lambda: changed(torch_bert(), **{"1__intermediate__dense__bias": np.zeros(7, np.float32)}),
        {},
        "wanted [48], found [7]",
    ),
    "whole numbers": (
        lambda: changed(torch_bert(), **{"1__intermediate__dense__bias": np.zeros(48, np.int64)}),
        {},
        "not floating point",
    ),
    "other depth": (torch_bert, {"num_hidden_layers": 12}, "num_hidden_layers 12 (found 2)"),
    "other width": (torch_bert, {"hidden_size": 768}, "hidden_size 768 (found 32)"),
    "other vocabulary size": (torch_bert, {"vocab_size": 21128}, "vocab_size 21128 (found 64)"),
    "heads that do not divide": (torch_bert, {"num_attention_heads": 5}, "not a multiple"),
    "heads of words": (torch_bert, {"num_attention_heads": "many"}, "heads"),
    "activation": (torch_bert, {"hidden_act": "gelu_new"}, "'gelu_new'"),
    "positions": (torch_bert, {"position_embedding_type": "relative_key"}, "relative_key"),
    "RoBERTa": (lambda: torch_bert("roberta."), {}, "roberta"),
    "another kind": (torch_bert, {"model_type": "electra"}, "electra"),
    "padding": (torch_bert, {"pad_token_id": 1}, "pads with token 1"),
    "task": (paddle_ernie, {"use_task_id": True, "task_id": 7}, "row 7"),
    "epsilon": (torch_bert, {"layer_norm_eps": 0.01}, "epsilon 0.01, but Paddle's takes at most 0.001"),
    "no blocks": (
        lambda: {key: value for key, value in torch_bert().items() if not key.startswith("encoder.")},
        {},
        "no layout",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_one_error_and_leaves_nothing(tmp_path, name):
    state, settings, said = BAD[name][0](), SETTINGS | BAD[name][1], BAD[name][2]
    source = write_source(tmp_path / "source", state, settings, "model.safetensors")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert said in refused(source, tmp_path / "model")
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_wrong_mapping_does_not_pass_the_check(tmp_path, monkeypatch):
    """The check shares no code with the mapping: exchanged keys and queries are found, and nothing is written."""
    from ernie_vil2.checkpoints.layouts import hugging_face

    exchanged = hugging_face.NAMES.linears | {"attn.q": "attention.self.key", "attn.k": "attention.self.query"}
    monkeypatch.setitem(hugging_face.NAMES.linears, "attn.q", exchanged["attn.q"])
    source = write_source(tmp_path / "source", torch_bert(), name="model.safetensors")
    said = refused(source, tmp_path / "model")
    assert "does not compute what the source does" in said and sorted(path.name for path in tmp_path.iterdir()) == [
        "source"
    ]


def test_another_epsilon_or_activation_does_not_pass_the_check(tmp_path, monkeypatch):
    source = write_source(tmp_path / "source", torch_bert(), SETTINGS | {"layer_norm_eps": 1e-3}, "model.safetensors")
    convert(source, tmp_path / "model")
    monkeypatch.setitem(text_tower.ACTIVATIONS, "gelu", "relu")
    assert "does not compute" in refused(source, tmp_path / "model", replace=True)
    assert_checked(tmp_path / "model")  # the older one is still whole


def test_vocabularies(tmp_path):
    source = write_source(
        tmp_path / "source",
        torch_bert(),
        name="model.safetensors",
        tokenizer_config={"do_lower_case": False, "strip_accents": True},
    )
    lines = "\n".join(convert(source, tmp_path / "model"))
    assert ernie_vil2.load(tmp_path / "model").config.lower_case is False and "accents" in lines
    (tmp_path / "big.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n" + "".join(f"w{index}\n" for index in range(90)))
    assert "has 94 tokens but" in refused(source, tmp_path / "x", vocab=tmp_path / "big.txt")
    assert "does not exist" in refused(source, tmp_path / "x", vocab=tmp_path / "absent.txt")
    (source / "vocab.txt").unlink()
    assert "without a vocabulary" in refused(source, tmp_path / "x")


def test_to_paddlenlp_and_to_torch_and_back(tmp_path):
    """Every way keeps the embeddings; vocabularies become one token a line with the same ids."""
    convert(write_source(tmp_path / "source", paddle_ernie()), tmp_path / "model")
    pairs = [("paddlenlp", "PaddleNLP ERNIE"), ("torch", "Hugging Face ERNIE or BERT")]
    first = ernie_vil2.load(tmp_path / "model").encode_text(["一只红猫", "a dog"])
    for to, layout in pairs:
        convert(tmp_path / "model", tmp_path / to, to)
        assert json.loads((tmp_path / to / "config.json").read_text())["ernie_vil2_check"]["cosine"]["text"] > 0.999999
        assert open_any(tmp_path / to).layout.name == layout
        convert(tmp_path / to, tmp_path / f"{to} back")
        again = ernie_vil2.load(tmp_path / f"{to} back").encode_text(["一只红猫", "a dog"])
        np.testing.assert_allclose(again, first, atol=1e-6)
    weights = load_pdparams(tmp_path / "paddlenlp/model_state.pdparams")
    assert weights["encoder.layers.0.linear1.weight"].shape == (WIDTH, 48)
    assert "release's file holds both" in refused(tmp_path / "model", tmp_path / "x.pdparams")


def test_vocabulary_with_gaps_and_a_token_twice(tmp_path):
    """As the release's: the last id of a token counts, and lines of the written file are the ids."""
    source = write_source(tmp_path / "source", paddle_ernie())
    tokens = [("[PAD]", 0), ("[CLS]", 1), ("[SEP]", 2), ("[UNK]", 9), ("猫", 4), ("a", 5), ("猫", 7)]
    (source / "vocab.txt").write_text("".join(f"{token}\t{index}\r\n" for token, index in tokens), encoding="utf-8")
    convert(source, tmp_path / "model")
    convert(tmp_path / "model", tmp_path / "folder", "paddlenlp")
    lines = (tmp_path / "folder/vocab.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 10 and [lines.index(token) for token in ("猫", "a", "[UNK]")] == [7, 5, 9]
    convert(tmp_path / "folder", tmp_path / "again")
    one, two = (ernie_vil2.load(tmp_path / name).tokenize("猫a b") for name in ("model", "again"))
    assert one.tolist() == two.tolist()


def test_a_source_that_cannot_be_run_is_said_to_be_unchecked(tmp_path, monkeypatch):
    from ernie_vil2.conversion import their_models

    monkeypatch.setattr(their_models, "RUNNERS", {})
    lines = convert(write_source(tmp_path / "source", paddle_ernie()), tmp_path / "model")
    assert check_of(tmp_path / "model")["how"].startswith("not run: ")
    assert any(line.startswith("check: not run: no model of the layout PaddleNLP ERNIE") for line in lines)
    assert ernie_vil2.load(tmp_path / "model").encode_text("猫").shape == (1, WIDTH)


def test_a_library_that_does_not_load_is_no_traceback(tmp_path, monkeypatch):
    from ernie_vil2.conversion import their_models

    def broken(*_):
        raise ModuleNotFoundError("No module named 'torchvision'")

    monkeypatch.setitem(their_models.RUNNERS, "PaddleNLP ERNIE", (None, broken))
    lines = convert(write_source(tmp_path / "source", paddle_ernie()), tmp_path / "model")
    assert "check: not run: its library does not load (No module named 'torchvision')" in lines
