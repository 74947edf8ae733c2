"""What one wants to do, and the verbs of the command that do it, in the order in which they are needed."""

GROUPS = {
    "Try it": ("ernie-vil2 sample mine", ("demo", "sample", "up")),
    "Your data": ("ernie-vil2 data check photos.jsonl --vocab vocab.txt", ("data",)),
    "Train": ("ernie-vil2 train -c demo", ("config", "train", "interpolate")),
    "Evaluate": ("ernie-vil2 eval --model output/try --input valid.jsonl", ("eval", "parity")),
    "Search": ("ernie-vil2 index build photos.index photos --model output/try", ("index", "search", "serve")),
    "Released models, and other forms": (
        "ernie-vil2 download ernie-vil2-base-vit-zh",
        ("download", "convert", "encode", "quantize", "export"),
    ),
    "Measure": ("ernie-vil2 bench encode --model output/try", ("bench",)),
}
"""{purpose: (a command line to begin with, verbs)}"""
