"""Let timm, open_clip, cn_clip and transformers import in the interop environment: `install()` before the first import.

A torchvision that was built for another torch does not load ("operator torchvision::nms does not exist"), and the
models under test use none of it: timm, open_clip and cn_clip import it for image transforms, FrozenBatchNorm2d and
feature extraction. Every `torchvision.a.b.Name` becomes an empty class, which can be imported, named and subclassed.

transformers 4.57 refuses tokenizers above 0.23.0, by number only; this project's pin, 0.23.3, works with it, so the
module that compares the numbers is left out.
"""

import importlib.machinery
import sys
import types


class _Name(type):
    """Type of the empty classes: attributes such as `InterpolationMode.BICUBIC` are empty classes too."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _empty_class(name)


def _empty_class(name):
    return _Name(name, (), {"__module__": "torchvision"})


class _Module(types.ModuleType):
    __version__ = "0"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, _empty_class(name))
        return getattr(self, name)


class Torchvision:
    """Finder and loader of `torchvision` and whatever is imported from inside it."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, Torchvision, is_package=True)
        return None

    @staticmethod
    def create_module(spec):
        return _Module(spec.name)

    @staticmethod
    def exec_module(module):
        """Nothing to run: names are made when they are asked for."""


def install():
    """Put both stand-ins in place; a second call changes nothing."""
    if Torchvision not in sys.meta_path:
        sys.meta_path.insert(0, Torchvision)
    check = types.ModuleType("transformers.dependency_versions_check")
    check.dep_version_check = lambda package, hint=None: None
    sys.modules.setdefault(check.__name__, check)
