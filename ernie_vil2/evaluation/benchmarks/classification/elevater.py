"""The 20 image classification sets of ELEVATER: classes, test images, metric and prompts of each.

Classes and test images are those of the shapes that the benchmark's server expects (submission_file_readme.md of
Computer-Vision-in-the-Wild/Elevater_Toolkit_IC). The metrics are those of CLIP's paper (Radford et al. 2021, table 9),
which ELEVATER takes over. The names are those of the folders in Chinese-CLIP's archive.
"""

from dataclasses import dataclass

ACCURACY, PER_CLASS, ROC_AUC, VOC_MAP = "acc@1", "mean_per_class", "roc_auc", "map_11point"


@dataclass(frozen=True)
class ElevaterSet:
    """classes, images: of the test set. metric: the headline. domain: which prompts. sentences: whether the names of
    classes are sentences, in which a comma does not part synonyms."""

    classes: int
    images: int
    metric: str = ACCURACY
    domain: str = "general"
    sentences: bool = False


SETS = {
    "caltech-101": ElevaterSet(102, 6084, PER_CLASS),
    "cifar-10": ElevaterSet(10, 10000, domain="tiny"),
    "cifar-100": ElevaterSet(100, 10000, domain="tiny"),
    "country211": ElevaterSet(211, 21100, domain="place"),
    "dtd": ElevaterSet(47, 1880, domain="texture"),
    "eurosat_clip": ElevaterSet(10, 5000, domain="satellite"),
    "fer-2013": ElevaterSet(7, 3589, domain="emotion"),
    "fgvc-aircraft-2013b-variants102": ElevaterSet(100, 3333, PER_CLASS, "aircraft"),
    "food-101": ElevaterSet(101, 25250, domain="food"),
    "gtsrb": ElevaterSet(43, 12630, domain="traffic sign"),
    "hateful-memes": ElevaterSet(2, 500, ROC_AUC, "meme", sentences=True),
    "kitti-distance": ElevaterSet(4, 711, domain="sentence", sentences=True),
    "mnist": ElevaterSet(10, 10000, domain="digit"),
    "oxford-flower-102": ElevaterSet(102, 6149, PER_CLASS, "flower"),
    "oxford-iiit-pets": ElevaterSet(37, 3669, PER_CLASS, "pet"),
    "patch-camelyon": ElevaterSet(2, 32768, domain="pathology", sentences=True),
    "rendered-sst2": ElevaterSet(2, 1821, domain="review", sentences=True),
    "resisc45_clip": ElevaterSet(45, 25200, domain="satellite"),
    "stanford-cars": ElevaterSet(196, 8041, domain="car"),
    "voc-2007-classification": ElevaterSet(20, 4952, VOC_MAP),
}
ALIASES = {
    "eurosat": "eurosat_clip",
    "resisc45": "resisc45_clip",
    "fgvc-aircraft": "fgvc-aircraft-2013b-variants102",
    "flowers-102": "oxford-flower-102",
    "oxford-pets": "oxford-iiit-pets",
    "voc-2007": "voc-2007-classification",
}
SOURCE = (
    "download Chinese-CLIP's archive of the 20 ELEVATER sets, whose address is in zeroshot_dataset_en.md of "
    "OFA-Sys/Chinese-CLIP, and unpack it there"
)
