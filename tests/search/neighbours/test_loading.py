"""FAISS is loaded without a word, though Paddle has the root logger tell everything."""

import importlib
import logging

import faiss.loader

import ernie_vil2.search.neighbours  # noqa: F401


def test_faiss_tells_nothing_of_its_builds(caplog):
    caplog.set_level(logging.INFO)
    importlib.reload(faiss.loader)
    assert not caplog.records
