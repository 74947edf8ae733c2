"""client.py beside exported files: a short program, written for a runtime and a pixel profile, that reads export.json.

It needs what `requirements.txt` names and nothing of this project, and is meant to be read: it shows every step from a
picture or a text to its embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.model import PixelProfile
from ..files.atomic import synced_file
from .client_pixels import imports, pixel_source
from .pixels_description import LIBRARIES, installed
from .target import CLIENT, REQUIREMENTS


@dataclass(frozen=True)
class Runtime:
    """What a client computes with.

    name: for people; imports: its line of import; distributions: names of its package, of which one is installed;
    needs: other packages that it imports without asking for them; tower: the source of the function `tower`.
    """

    name: str
    imports: str
    distributions: tuple[str, ...]
    tower: str
    needs: tuple[str, ...] = ()


ONNX_RUNTIME = Runtime(
    "ONNX Runtime",
    "import onnxruntime",
    ("onnxruntime",),
    '''
@functools.cache
def tower(side):
    """A function from the arrays of a batch to raw embeddings float32 [B, D]."""
    session = onnxruntime.InferenceSession(HERE / ABOUT[side]["files"][0], providers=["CPUExecutionProvider"])
    names = [given["name"] for given in ABOUT[side]["inputs"]]
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))[0]
''',
)
OPENVINO = Runtime(
    "OpenVINO",
    "import openvino",
    ("openvino",),
    '''
@functools.cache
def tower(side):
    """A function from the arrays of a batch to raw embeddings float32 [B, D]."""
    settings = {"INFERENCE_PRECISION_HINT": "f32"}  # bf16 is faster on some processors, and differs a little
    compiled = openvino.Core().compile_model(HERE / ABOUT[side]["files"][0], "CPU", settings)
    return lambda *arrays: compiled(list(arrays))[0]
''',
)
PADDLE_INFERENCE = Runtime(
    "Paddle Inference",
    "from paddle import inference",
    ("paddlepaddle", "paddlepaddle-gpu"),
    '''
@functools.cache
def tower(side):
    """A function from the arrays of a batch to raw embeddings float32 [B, D]."""
    config = inference.Config(*(str(HERE / name) for name in ABOUT[side]["files"]))
    config.disable_glog_info()
    config.disable_gpu()
    config.enable_onednn()
    config.disable_glog_info()
    predictor = inference.create_predictor(config)

    def run(*arrays):
        for given, array in zip(ABOUT[side]["inputs"], arrays, strict=True):
            predictor.get_input_handle(given["name"]).copy_from_cpu(np.ascontiguousarray(array))
        predictor.run()
        return predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()

    return run
''',
)
STANDARD = ("import functools", "import json", "import sys", "from pathlib import Path")
ALWAYS = ("import numpy as np", "from tokenizers import Tokenizer")
TOP = '''\
"""Embeddings of pictures and texts by {runtime}; export.json beside this file says what is done, and why.

    pip install -r requirements.txt
    python client.py PICTURE ... -- SENTENCE ...
"""

{standard}

{others}

HERE = Path(__file__).resolve().parent
ABOUT = json.loads((HERE / "export.json").read_text(encoding="utf-8"))
PIXELS, TOKENS = ABOUT["image"]["pixels"], ABOUT["text"]["tokens"]
TOKENIZER = Tokenizer.from_str(json.dumps(TOKENS["tokenizer"]))
BATCH = 8

'''
REGIONS = '''

def regions(count):
    """(boxes float32 [B, most + 1, 4], how many of them count int64 [B]) of pictures without any of their own."""
    default = ABOUT["image"]["boxes"]["default"]
    boxes = np.zeros((count, ABOUT["image"]["boxes"]["most"] + 1, 4), np.float32)
    boxes[:, : len(default)] = default
    return boxes, np.full(count, len(default), np.int64)
'''
ENCODED = '''

def encoded(side, batches):
    """L2-normalised embeddings float32 [N, D] of batches of arrays."""
    rows = np.concatenate([tower(side)(*arrays) for arrays in batches])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def parts(items):
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def encode_images(paths):
    """L2-normalised embeddings float32 [N, D] of pictures' files."""
    return encoded("image", ({arrays} for part in parts(paths)))


def encode_texts(texts):
    """L2-normalised embeddings float32 [N, D] of texts."""
    rows = ([text.ids for text in TOKENIZER.encode_batch(part)] for part in parts(texts))
    return encoded("text", ((np.array(ids, np.int64),) for ids in rows))


if __name__ == "__main__":
    if "--" not in sys.argv[2:-1]:
        sys.exit("usage: python client.py PICTURE ... -- SENTENCE ...")
    place = sys.argv.index("--")
    pictures, sentences = sys.argv[1:place], sys.argv[place + 1 :]
    scores = encode_texts(sentences) @ encode_images(pictures).T
    for sentence, cosines in zip(sentences, scores, strict=True):
        print(sentence)
        for number in np.argsort(-cosines, kind="stable"):
            print(f"{{cosines[number]:9.4f}}  {{pictures[number]}}")
'''
PLAIN_ARRAYS = "(np.stack([pixels(path) for path in part]),)"
BOXED_ARRAYS = "(np.stack([pixels(path) for path in part]), *regions(len(part)))"


def client_source(runtime: Runtime, profile: PixelProfile, boxed: bool = False) -> str:
    """The text of client.py; boxed: whether the image tower takes boxes."""
    standard, others = imports(profile)
    top = TOP.format(
        runtime=runtime.name,
        standard="\n".join(in_order([*standard, *STANDARD])),
        others="\n".join(in_order([*others, *ALWAYS, runtime.imports])),
    )
    arrays = BOXED_ARRAYS if boxed else PLAIN_ARRAYS
    parts = [top, runtime.tower, "\n", pixel_source(profile), REGIONS if boxed else "", ENCODED.format(arrays=arrays)]
    return "".join(parts)


def in_order(lines: Sequence[str]) -> list[str]:
    """Lines of imports: whole modules first, by name."""
    return sorted(lines, key=lambda line: (line.startswith("from"), line.split()[1].lower()))


def client_requirements(runtime: Runtime, profile: PixelProfile) -> str:
    """The text of requirements.txt: what the client imports, as it is installed here, where the export was tried; a
    local build, such as torch's 2.13.0+cpu, as the release that it is of."""
    used = [runtime.distributions, *((name,) for name in runtime.needs), ("numpy",), ("tokenizers",)]
    used.append(LIBRARIES[profile.decoder][1])
    pins = (installed(distributions) for distributions in used)
    return "".join(sorted(f"{name}=={str(version).partition('+')[0]}\n" for name, version in pins))


def write_client(folder: Path, runtime: Runtime, profile: PixelProfile, boxed: bool = False) -> None:
    """Write client.py and requirements.txt into a folder that holds the files of both towers."""
    for name, text in (
        (CLIENT, client_source(runtime, profile, boxed)),
        (REQUIREMENTS, client_requirements(runtime, profile)),
    ):
        with synced_file(folder / name) as handle:
            handle.write(text.encode("utf-8"))
