"""The list of names: nothing leaves its folder, every address is plain, and the vocabulary's two forms agree."""

import hashlib
import re
from urllib.parse import urlsplit

import pytest

from ernie_vil2.checkpoints.download.catalogue import CATALOGUE, RELEASE_VOCAB
from ernie_vil2.checkpoints.download.download import download
from ernie_vil2.cli.download import main
from ernie_vil2.data.vocabulary_file import read_vocab
from ernie_vil2.errors import CheckpointError


def test_names_and_files_stay_in_their_folder_and_addresses_are_plain():
    for name, files in CATALOGUE.items():
        assert len({file.name for file in files}) == len(files)
        for text in (name, *(file.name for file in files)):
            assert re.fullmatch(r"\w[\w.-]*", text, re.ASCII)
        for file in files:
            schemes = [urlsplit(url).scheme for url in file.urls]
            assert schemes == sorted(schemes, reverse=True) and set(schemes) <= {"https", "http"} and "https" in schemes
            assert all(urlsplit(url).hostname.endswith("bj.bcebos.com") for url in file.urls)
            assert all(re.fullmatch("[0-9a-f]{32}|[0-9a-f]{64}", checksum) for checksum in file.checksums)
            assert len({len(checksum) for checksum in file.checksums}) <= 1


def test_the_list_names_everything(capsys):
    main(["--list"])
    printed = capsys.readouterr().out
    for name, files in CATALOGUE.items():
        assert f"{name}\n" in printed and all(url in printed for file in files for url in file.urls)


@pytest.mark.parametrize("name", ["../escape", "ernie-vil2-base-vit-zhh", ""])
def test_an_unknown_name_is_a_sentence(tmp_path, name):
    with pytest.raises(CheckpointError, match="did you mean 'ernie-vil2-base-vit-zh'" if "zhh" in name else "name"):
        download(name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_vocabularys_two_published_forms_read_as_the_same_ids(shared_parity, tmp_path):
    lines = (shared_parity / "vocab.txt").read_text(encoding="utf-8").split("\n")
    tokens = "".join(line.split("\t")[0] + "\n" for line in lines).encode()
    found = {hashlib.md5(data).hexdigest() for data in ((shared_parity / "vocab.txt").read_bytes(), tokens)}
    assert found == set(RELEASE_VOCAB.checksums)
    (tmp_path / "tokens.txt").write_bytes(tokens)
    assert read_vocab(tmp_path / "tokens.txt") == read_vocab(shared_parity / "vocab.txt")
