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
    found = named_recipe(path)
    if found is not None:
        return found
    if os.fspath(name) and (path.suffix == ENDING or path.exists()):
        return path
    raise ConfigError(f"{quoted(str(name))} is neither a file nor a recipe; {hint(name)}")


def recipe(name: str) -> Path:
    """The file of a recipe, whatever files of that name lie where the command runs; ConfigError names the nearest."""
    found = named_recipe(Path(name))
    if found is None:
        raise ConfigError(f"{quoted(name)} is no recipe; {hint(name)}")
    return found


def named_recipe(path: Path) -> Path | None:
    """The file of a recipe by its name, with `configs/` and the ending or without; None where there is none."""
    asked = asked_for(path)
    return recipe_folder() / f"{asked}{ENDING}" if asked in recipe_names() else None


def asked_for(path: Path) -> str:
    """The name of the recipe that a path means."""
    return path.as_posix().removeprefix("configs/").removesuffix(ENDING)


def hint(name: str | os.PathLike) -> str:
    """What to do about a name that is none."""
    close = nearest(asked_for(Path(name)), recipe_names())
    return f"did you mean {close}?" if close else "ernie-vil2 config lists the recipes"
