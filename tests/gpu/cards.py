"""The cards of this machine, as Paddle counts them and as nvidia-smi describes them."""

import csv
import subprocess
from collections import Counter

DESCRIBED = ("index", "uuid", "name", "compute_cap", "memory.total", "driver_version")


def visible_cards() -> int:
    """How many NVIDIA cards Paddle can use here; none without its GPU build."""
    import paddle

    return paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0


def table(question: str) -> list[list[str]]:
    """Rows of an answer of nvidia-smi; empty where it is not there or cannot say."""
    command = ["nvidia-smi", question, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return rows(done.stdout) if done.returncode == 0 else []


def rows(text: str) -> list[list[str]]:
    """Cells of comma-separated lines, without blanks around them."""
    return [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if row]


def driver_and_cards() -> dict:
    """{"cards": [...], "driver": version or None}; memory in MiB."""
    found = [dict(zip(DESCRIBED, row, strict=True)) for row in table(f"--query-gpu={','.join(DESCRIBED)}")]
    return {"driver": found[0].pop("driver_version") if found else None, "cards": found}


def processes_by_card() -> dict[str, int]:
    """{uuid of a card: processes that compute there}; in a container nvidia-smi may list none."""
    return dict(Counter(row[0] for row in table("--query-compute-apps=gpu_uuid,pid")))
