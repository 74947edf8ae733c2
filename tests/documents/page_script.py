"""The commands of a page as one script: as printed, with stand-ins for what they need, and long ones made short."""

import importlib.util
import re
import shlex
from pathlib import Path

from ernie_vil2.inference.engines.processor import this_processor
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES.remove(ROOT / "docs" / "extending.md")  # tests/test_plugins.py types it, with the files that stand on it
LONG = [ROOT / "README.md", ROOT / "docs" / "training.md"]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = "# needs: "
OF_A_CLONE = re.compile(r"(make|pip|source|sudo|md5sum|img2dataset)\b|python tools/|\.venv/|GPU_REPORT=")
"""Beginnings of commands that are for a clone or for the environment, or of other programs"""
ABSENT = re.compile(r"\b(network|cards?|proxy|etcd|repository|exported model|server that runs)\b")
"""What a block may need that has no stand-in here"""
WALKED = "finetuning.md"
"""A page whose blocks that need something are walked through by tests/cli/test_finetuning.py, in small"""
LIBRARIES = {"requirements-quantize": "nncf", "requirements-export": "paddle2onnx", "torch and transformers": "torch"}
UNKNOWN = re.compile(
    r"ernie-vil2 download (?!--list)| --(published|detector|fixture)"
    r"|tf_efficientnet|CLIP-ViT-B-32-laion2B|clip-vit-base-patch32|clip_cn_vit"
)
"""Of commands that ask for the very files of others"""
SERVERS = re.compile(r"ernie-vil2 (up|serve) ")
ADDRESS = "http://127.0.0.1:8765"
FEW = "-o train.steps=2 -o train.eval_every=0 -o optimizer.warmup=0 -o data.workers=0"
SMALL_BASE = (
    "-o model.pixels.size=32 -o model.image_tower.image_size=32 -o model.text_tower.vocab_size=64 "
    "-o model.text_tower.positions=64 "
    + " ".join(
        f"-o model.{tower}_tower.{key}" for tower in ("image", "text") for key in ("width=64", "depth=2", "heads=1")
    )
)
"""The sizes of `stand_ins.SMALL`"""
FEW_SCENES = f"{FEW} -o train.batch_size=8 -o data.train.size=32 -o data.valid.size=8"
SHORT = (
    (r"ernie-vil2 (train|demo) -c (demo|\w+_scenes|scenes_small)(?!.* data\.train=)", FEW_SCENES),
    (r"ernie-vil2 train -c ernie_vil2_base_vit_zh .*init.model=model", SMALL_BASE),
    (r"ernie-vil2 train -c my.yaml .*batch_size=64", f"{FEW} -o train.batch_size=8"),
    (r"ernie-vil2 convert BriVL", "-o image_size=64 -o max_length=12"),
    (r"ernie-vil2 eval .*--benchmark scenes", "-o images=8 -o pairs=8"),
    (r"ernie-vil2 eval .*--benchmark (?!scenes)", "--allow-counts"),
    (r"ernie-vil2 bench encode", "--only-sides openvino-fp32 --images 4 --texts 4 --repeats 1 --model output/try"),
    (r"ernie-vil2 bench train", "-c demo --only project --batch 4 --turns 1"),
    (r"ernie-vil2 bench kernels", "-c demo --batch 2 --turns 1"),
    (r"ernie-vil2 bench loader", "--samples 128 --repeats 1"),
    (r"ernie-vil2 bench memory(?! --loss)", "-c demo --batch 8 --micro 4"),
    (r"ernie-vil2 bench memory --loss", "--batch 64 --plain-batch 32 --repeats 1"),
    (r"ernie-vil2 bench host", "-c demo --steps 1 --pairs 2"),
    (r"ernie-vil2 bench streams", "-c cookie_scenes --images 2 --texts 2 --repeats 1"),
    (r"ernie-vil2 bench systems", "--only clip --seeds 0 --batches 8 --rates 1e-3 --pairs 16 --images 8 --write x.md"),
    (r"ernie-vil2 bench ablation", f"--only image_text --seeds 0 --images 8 --write x.md {FEW_SCENES}"),
    (r"ernie-vil2 bench search", "--rows 500 --questions 5"),
    (r"ernie-vil2 bench queries", "--rounds 1"),
    (r"ernie-vil2 bench serving", "--clients 1 --seconds 1 --rows 100"),
)
"""What is typed behind a command that a page calls long, or whose files are small here"""
FEWER = (
    (r"(train\.steps|train\.eval_every|data\.train\.size|train\.batch_size)=(\d\d+)", r"\1=4"),
    (r"step-\d{7}", "step-0000004"),
)
"""What stands here for large numbers"""
NAMES = {
    "MODEL": "output/try",
    "srv/indexes/photos": "photos.index",
    "INDEX": "photos.index",
    "FOLDER": "drawn",
    "DIR": "sets/{set}",
    "COCO-CN": "sets/{set}",
    "LABELLED": "sets/{set}",
    "STS": "sets/{set}",
}
"""What stands here for names in capitals"""
BESIDE = {"pairs.tsv": ["copies"], "BriVL-1.0-5500w.pth": ["vocab.txt"]}
"""Stand-ins that come with others"""
HEAD = f"""
set -euo pipefail
begin() {{  # a server in the background: its address, once it answers
    "$@" --port 0 > served.txt 2>&1 & servers="$servers $!"
    for _ in $(seq 600); do
        address=$(grep -oE 'http://127.0.0.1:[0-9]+' served.txt | head -1) && [ -n "$address" ] && return
        kill -0 $! || break
        sleep 0.1
    done
    cat served.txt; return 1
}}
put() {{  # a stand-in where the page has nothing of that name yet
    for name in "$@"; do
        [ -d "$name" ] || {{ mkdir -p "$(dirname "$name")"; cp -r "$STAND_INS/$name" "$name"; }}
    done
}}
finish() {{
    status=$?
    for server in $servers; do kill -TERM $server && wait $server || true; done
    exit $status
}}
servers="" address="{ADDRESS}"
trap finish EXIT
"""


def blocks(page: Path):
    """(language, number of its first line, lines with continued ones joined) of every block that can be typed."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        number = text[: block.start()].count("\n") + 2
        yield block[1], number, block[2].replace("\\\n", " ").splitlines()


def cannot(needs: str, command: str) -> bool:
    """Whether a command is left out: what it needs is nowhere here, and nothing can stand for it."""
    lacking = [name for words, name in LIBRARIES.items() if words in needs and not importlib.util.find_spec(name)]
    lacking += ["bf16"] if "bf16" in needs and not this_processor().bf16 else []
    return bool(OF_A_CLONE.match(command) or ABSENT.search(needs) or UNKNOWN.search(command) or lacking)


def needed(command: str, stand_ins: list[str]) -> list[str]:
    """The stand-ins that a command names."""
    words = re.split(r"[\s='{}:,\"\[\]]+", command)
    words += [other for name, others in BESIDE.items() if name in words for other in others]
    return [name for name in stand_ins if any(word == name or word.startswith(f"{name}/") for word in words)]


def small(command: str) -> str:
    """A command for small files and little time; names in capitals are those of stand-ins."""
    command = f"ERNIE_VIL2_ENGINE=openvino {command}" if "bf16" in command else command  # tests say another one
    of_set = re.search(r"--benchmark ([\w-]+)", command)
    for name, stand_in in NAMES.items():
        command = re.sub(rf"(?<![\w/-]){name}(?![\w-])", stand_in.format(set=of_set[1] if of_set else ""), command)
    for pattern, value in FEWER:
        command = re.sub(pattern, value, command)
    if "$" in command or re.match(r"[A-Z]=", command):
        return with_options(command, "-o optimizer.warmup=0") if "ernie-vil2" in command else command
    for more in (more for pattern, more in SHORT if re.search(pattern, command)):
        command = with_options(command, more)
    return command


def with_options(command: str, more: str) -> str:
    """A command with more behind it; a key of a configuration that it has already gets the other value."""
    for setting in re.findall(r"-o (\S+)", more):
        key = setting.partition("=")[0]
        given = re.search(rf"(?<= -o ){re.escape(key)}=\S+", command)
        command = command.replace(given[0], setting) if given else f"{command} -o {setting}"
    others = re.sub(r"-o \S+ ?", "", more)
    return f"{command} {others}".rstrip()


def script(page: Path, stand_ins: list[str] = ()) -> tuple[str, int, list[str]]:
    """(what bash runs, how many commands are in it, those that are left out) of a page."""
    parts, typed, left_out = [HEAD], 0, []
    for language, number, lines in blocks(page):
        if language == "python":
            if page.name == "README.md" and "demo/run" not in "".join(lines):
                code = "\n".join(lines).replace(f'"{ADDRESS}"', '__import__("os").environ["ADDRESS"]')
                parts.append(f"echo '== {page.name}:{number}'\nADDRESS=$address python - <<'CODE'\n{code}\nCODE")
                typed += 1
            continue
        needs = ""
        for line in lines:
            needs = line.removeprefix(NEEDS) if line.startswith(NEEDS) else needs if line.strip() else ""
            command = line.partition(" #")[0].strip()
            if not command or command.startswith("#"):
                continue
            if cannot(needs, command) or needs and page.name == WALKED:
                left_out.append(f"{page.name}:{number}: {command}")
                continue
            typed += 1
            parts.append(f"echo '== {page.name}:{number}:' {shlex.quote(command)}")
            if needs:
                command = small(command)
                parts.append(" ".join(["put", *map(shlex.quote, needed(command, stand_ins))]))
            if needs and "convert" in command:  # examples that a reader takes each for itself
                parts.append(f"rm -rf {shlex.split(command)[3]}")
            if SERVERS.match(command):
                kept = re.search(r" 2?> (\S+)", command)
                command = "begin " + re.sub(r" --open\b| --port \d+| 2?> \S+|\s*&$", "", command)
                command += " --no-open" if " up " in command else ""
                command += f"; ln -sf served.txt {kept[1]}" if kept else ""
            parts.append(command.replace(ADDRESS, "$address"))
    return "\n".join(parts) + "\n", typed, left_out
