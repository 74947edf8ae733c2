"""The evaluation tool from a model and a source to figures, and its agreement with encoding to files first."""
import json

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.checkpoints.store import save_model
from ernie_vil2.errors import DataError
from ernie_vil2.model_config import ModelConfig
from ernie_vil2.models.dual_encoder import new_model
from tools import encode, parity
from tools import eval as tool

CAPTIONS = ["红猫", "蓝狗", "一只红狗", "蓝猫坐", "红", "狗坐"]
TOKENS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", *"一只红蓝猫狗坐", "[UNK]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    root = tmp_path_factory.mktemp("model")
    (root / "vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS), encoding="utf-8")
    config = ModelConfig.from_dict({
        "image_tower": {"image_size": 32, "patch_size": 16, "width": 16, "depth": 1, "heads": 2},
        "text_tower": {"vocab_size": 40, "positions": 16, "width": 16, "depth": 1, "heads": 2},
        "max_length": 10, "pixels": {"size": 32}})
    state = {key: value.numpy() for key, value in new_model(config).state_dict().items()}
    save_model(root / "tiny", state, config, root / "vocab.txt")
    return root / "tiny"


@pytest.fixture
def source(tmp_path):
    """JSON lines: three images with two captions each."""
    rng = np.random.default_rng(0)
    lines = []
    for index in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / f"{index}.png")
        lines.append({"image": f"{index}.png", "texts": CAPTIONS[2 * index:2 * index + 2]})
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def test_model_and_source_equal_encoded_files(model, source, tmp_path):
    direct, files, text = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.json"
    tool.main(["--model", str(model), "--input", str(source), "--json", str(direct)])
    encode.main(["--model", str(model), "--input", str(source), "--output", str(tmp_path / "out")])
    tool.main(["--embeddings", str(tmp_path / "out"), "--json", str(files)])
    encode.main(["--model", str(model), "--input", str(source), "--output", str(tmp_path / "out.txt"),
                 "--format", "release"])
    tool.main(["--embeddings", str(tmp_path / "out.txt"), "--json", str(text), "--protocol", "official"])
    direct, files, text = (json.loads(path.read_text(encoding="utf-8"))["protocols"] for path in (direct, files, text))
    assert (direct["standard"]["num_images"], direct["standard"]["num_texts"]) == (3, 6)
    assert direct == files
    assert text["official"] == direct["official"]


def test_a_broken_image_is_named_or_left_out(model, source, tmp_path, capsys):
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"pairs\.jsonl:2"):
        tool.main(["--model", str(model), "--input", str(source)])
    tool.main(["--model", str(model), "--input", str(source), "--skip-broken"])
    printed = capsys.readouterr().out
    assert "standard protocol: 2 images, 4 texts" in printed
    assert "note: samples left out: 1, the first: " in printed and "pairs.jsonl:2" in printed


def test_help_of_both_tools(capsys):
    for main in (tool.main, parity.main):
        with pytest.raises(SystemExit) as caught:
            main(["--help"])
        assert caught.value.code == 0
    assert "--fixture" in capsys.readouterr().out
