"""Names of published weights and vocabularies: which files each has, where they are, and which checksums are public.

Every address stands in a public source:
- the release's weights: the readmes of Research/ERNIE-ViL2 in PaddlePaddle/ERNIE (http; the host answers https for the
  addresses of PaddleNLP, so https is tried first);
- `ernie_vil-2.0-base-zh` with the MD5 of its files: paddlenlp/taskflow/multimodal_feature_extraction.py in
  PaddlePaddle/PaddleNLP; other addresses of it: `pretrained_resource_files_map` in
  paddlenlp/transformers/ernie_vil/{modeling,tokenizer}.py;
- ERNIE 3.0 and 2.0: paddlenlp/transformers/ernie/{configuration,tokenizer}.py, same repository;
- image towers: `MODEL_URLS` in ppcls/arch/backbone/model_zoo/{vision_transformer,foundation_vit,efficientnet}.py of
  PaddlePaddle/PaddleClas.

PaddleNLP's vocabulary for ERNIE 3.0 (MD5 1c1c...) holds the release's tokens, one a line; the release's own (MD5
f3f3...) has `token TAB id`. Both read as the same ids, so either is accepted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ...errors import CheckpointError, nearest
from ..model_directory import VOCAB
from ..released_vocabulary import VOCAB_MD5

RELEASE = ("https://bj.bcebos.com/wenxin-models/", "http://bj.bcebos.com/wenxin-models/")
NLP = "https://bj.bcebos.com/paddlenlp/models/transformers/"
COMMUNITY = "https://paddlenlp.bj.bcebos.com/models/community/PaddlePaddle/ernie_vil-2.0-base-zh/"
CLAS = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/"
TOKENS_MD5 = "1c1c1f4fd93c5bed3b4eebec4de976a8"


@dataclass(frozen=True)
class Published:
    """One file: its name here, addresses in the order of trial, public checksums (32 digits: MD5; 64: SHA-256)."""

    name: str
    urls: tuple[str, ...]
    checksums: tuple[str, ...] = ()


def _release(name):
    return (Published(name, tuple(base + name for base in RELEASE)), RELEASE_VOCAB)


def _ernie(weights, vocab):
    return (Published(weights.rpartition("/")[2], (NLP + weights,)), Published(VOCAB, (NLP + vocab,)))


def _clas(name):
    return (Published(name.rpartition("/")[2], (CLAS + name,)),)


RELEASE_VOCAB = Published(
    VOCAB, (COMMUNITY + VOCAB, NLP + "ernie_vil/ernie_vil-2.0-base-zh/" + VOCAB), (VOCAB_MD5, TOKENS_MD5)
)
PADDLENLP_COPY = {
    "model_state.pdparams": "38d8c8e01f74ba881e87d9a3f669e5ae",
    "config.json": "caf929b450d5638e8df2a95c936519e7",
    VOCAB: TOKENS_MD5,
    "preprocessor_config.json": "9a2e8da9f41896fedb86756b79355ee2",
    "special_tokens_map.json": "8b3fb1023167bb4ab9d70708eb05f6ec",
    "tokenizer_config.json": "da5385c23c8f522d33fc3aac829e4375",
}
DISCO = "ernie_vil/disco_diffusion_ernie_vil-2.0-base-zh/"
CATALOGUE = {
    "ernie-vil2-base-vit-zh": _release("OPEN_ERNIE_VIL2_BASE_ViT.pdparams"),
    "ernie-vil2-base-vit-zh-older": _release("ERNIE_VIL2_BASE_ViT.pdparams"),
    "ernie-vil2-vocab-zh": (RELEASE_VOCAB,),
    "ernie_vil-2.0-base-zh": tuple(
        Published(name, (COMMUNITY + name,), (md5,)) for name, md5 in PADDLENLP_COPY.items()
    ),
    "disco_diffusion_ernie_vil-2.0-base-zh": _ernie(DISCO + "model_state.pdparams", DISCO + VOCAB),
    **{
        f"ernie-3.0-{size}-zh": _ernie(
            f"ernie_3.0/ernie_3.0_{size}_zh.pdparams", f"ernie_3.0/ernie_3.0_{size}_zh_vocab.txt"
        )
        for size in ("base", "xbase", "medium", "mini", "micro", "nano")
    },
    **{
        f"ernie-2.0-{size}-en": _ernie(f"ernie_v2_{size}/ernie_v2_eng_{size}.pdparams", f"ernie_v2_{size}/vocab.txt")
        for size in ("base", "large")
    },
    **{
        name: _clas(f"{name}_pretrained.pdparams")
        for name in (
            "ViT_small_patch16_224",
            "ViT_base_patch16_224",
            "ViT_base_patch16_384",
            "ViT_base_patch32_384",
            "ViT_large_patch16_224",
            "ViT_large_patch16_384",
            "ViT_large_patch32_384",
            *(f"EfficientNetB{number}" for number in range(8)),
        )
    },
    **{
        f"CLIP_vit_{size}": _clas(f"foundation_models/CLIP_vit_{size}.pdparams")
        for size in ("base_patch16_224", "base_patch32_224", "large_patch14_224", "large_patch14_336")
    },
}


def files_of(name: str) -> tuple[Published, ...]:
    """The files (Published, ...) of a name, weights first. Raises CheckpointError for a name that is not listed."""
    if name not in CATALOGUE:
        close = nearest(name, CATALOGUE)
        hint = f"did you mean {close!r}?" if close else "--list prints the names"
        raise CheckpointError(f"nothing is known here by the name {name!r}; {hint}")
    return CATALOGUE[name]


def listing() -> str:
    """Text: every name, and below it its files, whether a checksum is public, and where they come from."""
    lines = []
    for name, files in CATALOGUE.items():
        lines.append(name)
        for file in files:
            kinds = {"MD5" if len(digits) == 32 else "SHA-256" for digits in file.checksums}
            lines.append(f"  {file.name}  ({', '.join(kinds) or 'no checksum'} published)")
            lines += [f"    {url}" for url in file.urls]
    return "\n".join(lines)


def addresses(name: str, file: Published, mirrors: Iterable[str] = ()) -> list[str]:
    """URLs to try for a file of `name`: mirrors first, as MIRROR/NAME/FILE (a served downloads folder) and MIRROR/FILE.

    MIRROR/FILE is left out where FILE means different things for different names and no checksum could tell.
    """
    meanings = {other for files in CATALOGUE.values() for other in files if other.name == file.name}
    plain = len(meanings) == 1 or bool(file.checksums)
    found = []
    for mirror in mirrors:
        base = mirror.rstrip("/")
        found += [f"{base}/{name}/{file.name}", *([f"{base}/{file.name}"] if plain else [])]
    return list(dict.fromkeys([*found, *file.urls]))
