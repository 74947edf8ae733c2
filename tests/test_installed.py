"""The installed wheel does in an empty folder what a clone does: recipes, sample, check, train, encode, search."""

import pytest

from tests.conftest import ROOT
from tests.installed import Installed

TRY = (
    "train -c demo -o data.train=train.jsonl -o data.valid=valid.jsonl -o data.vocab=vocab.txt -o train.steps=3 "
    "-o train.batch_size=4 -o optimizer.warmup=1 -o output=output/try"
)
COMMANDS = {
    "data check photos.jsonl --vocab vocab.txt": "photos.jsonl",
    TRY: "output/try/checkpoints",
    "encode --model output/try --input photos.jsonl --output embeds": "embeds/image.npy",
    "eval --model output/try --input valid.jsonl --json scores.json": "scores.json",
    "index build photos.idx photos.jsonl --model output/try": "photos.idx",
    "search photos.idx 红色": "photos.idx",
}
"""{command in the folder of the sample: what is there afterwards}"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, installed."""
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.mark.slow
def test_everything_works_in_an_empty_folder(installed, tmp_path):
    where = installed.run(tmp_path, "python", "-c", "import ernie_vil2; print(ernie_vil2.__file__)")
    assert where.stdout.startswith(str(installed.folder)), where.stderr
    listed = installed.run(tmp_path, "ernie-vil2", "config").stdout
    assert all(path.stem in listed for path in ROOT.glob("configs/**/*.yaml"))
    shown = installed.run(tmp_path, "ernie-vil2", "config", "finetune/own_pairs")
    assert shown.stdout == (ROOT / "configs/finetune/own_pairs.yaml").read_text(encoding="utf-8")
    made = installed.run(tmp_path, "ernie-vil2", "sample", "sample")
    assert made.returncode == 0, made.stderr
    for command, made in COMMANDS.items():
        done = installed.run(tmp_path / "sample", "ernie-vil2", *command.split())
        assert done.returncode == 0, (command, done.stdout[-1000:], done.stderr[-2000:])
        assert (tmp_path / "sample" / made).exists(), command
