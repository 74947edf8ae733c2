"""The vocabulary of the release: how it is known, and where it is obtained."""

VOCAB_MD5 = "f3f369709b51cf924884236f54e25b08"
VOCAB_BYTES = 8 << 20
"""Of a vocabulary file: that of the release has half a million"""
VOCAB_SOURCE = (
    "the vocabulary of the release and of PaddleNLP's ernie_vil-2.0-base-zh is what ernie-vil2 download "
    "ernie-vil2-vocab-zh fetches: put the vocab.txt beside the weights or name it with vocab="
)
