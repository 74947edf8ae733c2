"""The nearest vectors: kinds of FAISS indexes, their choice, and scores in full precision."""

import logging

if logging.getLogger("faiss").level == logging.NOTSET:  # else it tells of every build of itself that is not there
    logging.getLogger("faiss").setLevel(logging.WARNING)
