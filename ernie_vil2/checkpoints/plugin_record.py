"""What a model directory keeps of the modules that a user gave when it was made, and what it says where they are not
given again, or are other ones now. Nothing is imported because a file names it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.model import PLAIN, ModelConfig
from ..config.towers import KINDS, SIDES
from ..errors import CheckpointError
from ..messages import brief, quoted
from ..plugins import ORIGINS, code_digests, origin

PLUGINS, SYSTEM_PLUGIN, CODE = "plugins", "system_plugin", "plugin_code"
"""Keys of "extra" in config.json: modules that were given; the one of them that brought the system, or null; digests of
their code"""
LOG = logging.getLogger("ernie_vil2")
TOLD: set[tuple[Path, str]] = set()


def plugin_record(config: ModelConfig) -> dict[str, Any]:
    """What to keep of the modules that brought the system and the towers of a model; {} where none did."""
    system = origin("system", config.system)
    brought = {system, *(origin("tower", tower.kind) for tower in config.towers().values())} - {None}
    code = {name: digest for name, digest in code_digests().items() if name in brought}
    return {PLUGINS: sorted(brought), SYSTEM_PLUGIN: system, CODE: code} if brought else {}


def check_plugins(path: Path, content: Mapping[str, Any], extra: Any) -> None:
    """CheckpointError where a model has a tower or a system that a module brings which was not given; a warning, once,
    where the code of one that was given has changed. content, extra: of its config.json."""
    extra = extra if isinstance(extra, dict) else {}
    refuse_unknown(path, content, extra)
    then, now = extra.get(CODE), code_digests()
    for name in then if isinstance(then, dict) else ():
        if now.get(name, then[name]) != then[name] and (path, name) not in TOLD:
            TOLD.add((path, name))
            told = f"{path} was made with another code of --plugin {name}; its embeddings may be other ones now"
            LOG.warning("%s", brief(told))


def refuse_unknown(path: Path, content: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
    """CheckpointError where a tower or the system is not known and modules are named that brought it."""
    given = [content.get(f"{side}_tower") for side in SIDES]
    kinds = [tower["kind"] for tower in given if isinstance(tower, dict) and isinstance(tower.get("kind"), str)]
    unknown = [f"a tower of kind {quoted(kind)}" for kind in kinds if kind not in KINDS]
    named, system = extra.get(PLUGINS), content.get("system")
    brought = isinstance(extra.get(SYSTEM_PLUGIN), str) and isinstance(system, str) and system != PLAIN
    if brought and ("system", system) not in ORIGINS:
        unknown.append(f"the system {quoted(system)}")
    if unknown and isinstance(named, list) and all(isinstance(name, str) for name in named):
        told = brief(" ".join(f"--plugin {name}" for name in named), 200)
        raise CheckpointError(
            f"{path} has {unknown[0]} and was made with {told}; give it again (in Python: ernie_vil2.load_plugins)"
        )
