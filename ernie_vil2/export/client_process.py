"""The client that lies beside exported files, run as its user would: a process of its own, without this project."""

import io
import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np

from ..errors import CheckpointError
from ..messages import brief
from .parity_inputs import Items
from .target import CLIENT, PROJECT

PROGRAM = """
import sys
sys.path[:] = filter(None, sys.path)
import json, os, runpy
job = json.load(sys.stdin)
sys.modules.update(dict.fromkeys(job["absent"]))
answer = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
import numpy as np
client = runpy.run_path(job["client"])
found = {"image": client["encode_images"](job["pictures"]), "text": client["encode_texts"](job["texts"])}
np.savez(answer, **found)
"""
"""Calls the two functions of a client, whatever modules lie in the working directory; one that is None cannot be
imported"""


def client_embeddings(folder: Path, items: Items, absent: Collection[str] = (PROJECT,)) -> dict[str, np.ndarray]:
    """{"image": [N, D], "text": [N, D]} of the pictures' files and of the captions, by the client in a folder.

    absent: modules that it must do without. CheckpointError, with the last line that it printed, where it fails.
    """
    job = {
        "client": str(folder / CLIENT),
        "pictures": [str(path.resolve()) for path in items.pictures],
        "texts": list(items.texts),
        "absent": list(absent),
    }
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=json.dumps(job).encode(), capture_output=True)
    if done.returncode:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise CheckpointError(
            f"the client that was written does not run ({brief(last, 200)}), so nothing was written; install what it "
            "imports, or report it, with the command"
        )
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as found:
        return {name: found[name] for name in ("image", "text")}
