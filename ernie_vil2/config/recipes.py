"""Recipes: the configurations that come with the project, by name (`demo`, `finetune/own_pairs`)."""

import os
from pathlib import Path

from ..errors import ConfigError, nearest
from ..messages import quoted

PACKAGE = Path(__file__).resolve().parents[1]
ENDING = ".yaml"


def recipe_folder() -> Path:
    """The folder of all recipes: of the installed package, or `configs` of a clone."""
    installed = PACKAGE / "configs"
    return installed if installed.is_dir() else PACKAGE.parent / "configs"


def recipe_names() -> list[str]:
    """Names of all recipes, sorted."""
    folder = recipe_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob(f"**/*{ENDING}"))


def recipe_path(name: str | os.PathLike) -> Path:
    """The file of a configuration: a path of one's own, or else a recipe by its name; ConfigError names the nearest."""
    path = Path(name)
    if path.is_file() or path.is_absolute():
        return path
    asked = path.as_posix().removeprefix("configs/").removesuffix(ENDING)
    names = recipe_names()
    if asked in names:
        return recipe_folder() / f"{asked}{ENDING}"
    if path.suffix == ENDING or path.exists():
        return path
    close = nearest(asked, names)
    hint = f"did you mean {close}?" if close else "ernie-vil2 config lists the recipes"
    raise ConfigError(f"{quoted(str(name))} is neither a file nor a recipe; {hint}")
