"""Published figures by benchmark and protocol, as printed, with their source and what is not known about them.

Figures are in percent, text to image (t2i) and image to text (i2t), R@1/R@5/R@10. A figure whose protocol its source
does not say stands under every benchmark that it may belong to, with a footnote.
"""

from .published_row import FINE_TUNED, UNSAID, ZERO_SHOT, Published, recalls

HARNESS_CAVEAT = (
    "Between two harnesses expect about 2 points of R@1 either way on the same weights: "
    "preprocessing and caption files differ. Smaller differences from published figures say nothing."
)
PROTOCOLS = {
    "coco-cn@1053": "1,000 test images and 1,053 human captions; every caption of an image is right",
    "coco-cn@1k-official": "1,000 texts paired row by row with 1,000 images, as the release's script does: equal "
    "scores do not count against the model",
    "coco-cn@5k": "5,000 human-translated captions",
    "flickr30k-cn": "1,000 test images and 5,000 human-translated captions",
    "flickr30k-cn@val": "1,000 validation images and 5,000 machine-translated captions",
    "muge": "the official validation set, where a query has several images; published figures are text to image only",
    "aic-icc@10k-pairs": "the first 10,000 pairs of image and caption of the validation set",
    "aic-icc@10k-images": "the first 10,000 images of the validation set with five captions each",
    "aic-icc@30k": "all 30,000 images of the validation set with five captions each",
    "flickr30k": "English, 1,000 test images of the Karpathy split with five captions each",
    "mscoco@5k": "English, 5,000 test images of the Karpathy split with five captions each",
    "mscoco@1k": "English, mean of five folds of 1,000 images",
    "cbvs": "CBVS-20K: 2,487 queries, 19,662 covers, 20,001 graded pairs",
    "msr-vtt": "English, 1,000 test videos of the split 1k-A (JSFusion) with one sentence each",
    "ruc-cas-wenlan": "BriVL's own test set, whose files are not published: no command here measures it",
    "imagenet-zh": "zero-shot classification by Chinese class names and prompts",
}
ALIASES = {
    "flickr30k-cn@1k": "flickr30k-cn",
    "flickr30k@1k": "flickr30k",
    "muge@valid": "muge",
    "cbvs@20k": "cbvs",
    "msr-vtt@1k-a": "msr-vtt",
}
"""full names of benchmarks that have one protocol"""
FAMILIES = {
    "elevater-zh": "zero-shot classification by Chinese class names and prompts, set {}",
    "sts": "correlation of cosines with human scores, set {}",
    "image-retrieval": "mean average precision, images with a common label are right, set {}",
    "scenes": "drawn scenes of the split that training never sees, set {}",
}

RELEASE_README = "readme of the release that links OPEN_ERNIE_VIL2_BASE_ViT.pdparams"
EARLIER_README = "table of an earlier readme of the release"
PAPER = "best figures of the ERNIE-ViL 2.0 paper, as the release's readme repeats them"
CN_CLIP = "Chinese-CLIP, results of its repository"
WUKONG, R2D2 = "Wukong, as compared in the Chinese-CLIP paper", "R2D2, as compared in the Chinese-CLIP paper"
QA_CLIP = "QA-CLIP's readme"
ALT_CLIP = "AltCLIP, from a peer's comparison; QA-CLIP's readme prints figures up to 0.4 away"
INTERN_VL = "InternVL paper"
BRIVL = "WenLan (BriVL) paper, of its large model (EfficientNet-B7, RoBERTa-large)"
CBVS = "readme of CBVS-UniCLIP, whose harness ran all models"
PADDLENLP = "fine-tuning with PaddleNLP (learning rate 5e-5, batch 128 x 2, 5 epochs)"

UNKNOWN_COCO = (
    "The source does not say whether this is 1,000 x 1,000 or 1,053 captions, so the figure stands beside both."
)
UNKNOWN_AIC = (
    "The source says the first 10,000 validation rows, but not whether a row is an image or a pair, "
    "so the figure stands beside both."
)
UNSAID_BRIVL = "The listing at hand does not say whether the model had been fine-tuned"
UNKNOWN_BRIVL = (
    UNSAID_BRIVL + ", nor which rows of the set were measured, so the figure stands beside both. It prints one figure, "
    "39.1, as R@5 and as R@10 of text to image; only R@10 stands here, and R@5 is missing."
)
PAPER_BEST = "The paper's best figure; the readme does not say of which model. " + UNKNOWN_COCO
VALIDATION = "Measured on the validation split; no figure of the test split is published."


def early(model: str, coco: str, aic: str) -> list[Published]:
    """Both rows of a model in the earlier readme's table: t2i R@1, i2t R@1, mean recall."""
    keys = ("t2i_r1", "i2t_r1", "mean_recall")
    rows = (
        (coco, ("coco-cn@1053", "coco-cn@1k-official"), UNKNOWN_COCO),
        (aic, ("aic-icc@10k-pairs", "aic-icc@10k-images"), UNKNOWN_AIC),
    )
    return [
        Published(
            f"ERNIE-ViL 2.0 {model}",
            names,
            dict(zip(keys, figures.split(), strict=True)),
            EARLIER_README,
            footnote=footnote,
        )
        for figures, names, footnote in rows
    ]


def peer(
    model: str,
    source: str,
    muge: str = "",
    muge_mean: str = "",
    flickr: tuple[str, ...] = (),
    coco: tuple[str, ...] = (),
    setting: str = ZERO_SHOT,
) -> list[Published]:
    """Rows of a peer on MUGE, Flickr30k-CN and COCO-CN with 1,053 captions, each where it is known."""
    figures = {
        "muge": recalls(muge, **({"t2i_mean": muge_mean} if muge_mean else {})),
        "flickr30k-cn": recalls(*flickr),
        "coco-cn@1053": recalls(*coco),
    }
    return [Published(model, (name,), printed, source, setting) for name, printed in figures.items() if printed]


def graded(model: str, recall: str, mean: str, pnr: str, ndcg: str, average: str) -> Published:
    """A row on CBVS-20K; its source prints shares as fractions, here they are in percent."""
    metrics = {"pnr": pnr, **dict(zip(("ndcg_1", "ndcg_5", "ndcg_10"), ndcg.split("/"), strict=True)), "map": average}
    return Published(model, ("cbvs",), recalls(recall, t2i_mean=mean, **metrics), CBVS)


FIGURES = (
    Published(
        "ERNIE-ViL 2.0 Base ViT",
        ("coco-cn@1k-official",),
        recalls("65.9/90.1/96.1", "66.5/91.6/96.2", t2i_mean="84.0", i2t_mean="84.8"),
        RELEASE_README,
    ),
    *early("Base ViT", "66.00 65.90 84.28", "17.93 30.41 38.57"),
    *early("Base CNN", "62.70 65.30 83.17", "14.77 26.05 34.47"),
    *early("Large ViT", "70.30 68.80 86.32", "20.17 32.29 41.08"),
    *early("Large CNN", "69.80 69.50 86.28", "19.01 33.65 40.58"),
    Published(
        "ERNIE-ViL 2.0, best of the paper",
        ("coco-cn@1053", "coco-cn@1k-official"),
        recalls("69.6/91.2/96.9", "69.1/92.9/97.1"),
        PAPER,
        footnote=PAPER_BEST,
    ),
    Published("ERNIE-ViL 2.0, best of the paper", ("flickr30k",), recalls("85.0/97.0/98.3", "96.1/99.9/100.0"), PAPER),
    *peer(
        "Wukong L/14",
        WUKONG,
        "42.7/69.0/78.0",
        "63.2",
        ("51.7/78.9/86.3", "76.1/94.8/97.5"),
        ("53.4/80.2/90.1", "55.2/81.0/90.6"),
    ),
    *peer(
        "R2D2 L/14",
        R2D2,
        "49.5/75.7/83.2",
        "69.5",
        ("60.9/86.8/92.7", "77.6/96.7/98.9"),
        ("56.4/85.0/93.1", "63.3/89.3/95.7"),
    ),
    *peer(
        "CN-CLIP B/16",
        CN_CLIP,
        "52.1/76.7/84.4",
        "71.1",
        ("62.7/86.9/92.8", "74.6/93.5/97.1"),
        ("62.2/86.6/94.9", "57.0/84.1/93.6"),
    ),
    *peer(
        "CN-CLIP L/14",
        CN_CLIP,
        "56.3/79.8/86.2",
        "74.1",
        ("68.0/89.7/94.4", "80.2/96.6/98.2"),
        ("64.0/89.2/94.4", "60.4/84.2/92.9"),
    ),
    *peer(
        "CN-CLIP H/14",
        CN_CLIP,
        "63.0/84.1/89.2",
        "78.8",
        ("71.2/91.4/95.5", "81.6/97.5/98.8"),
        ("69.2/89.9/96.1", "63.0/86.6/92.9"),
    ),
    *peer(
        "QA-CLIP L/14",
        QA_CLIP,
        "57.4/81.0/87.7",
        "",
        ("69.3/90.3/94.7", "85.3/97.9/99.2"),
        ("65.7/90.2/95.0", "64.5/88.3/95.1"),
    ),
    *peer("AltCLIP L", QA_CLIP, "29.6/49.9/58.8"),
    *peer(
        "AltCLIP L", ALT_CLIP, flickr=("69.8/89.9/94.7", "84.8/97.4/98.8"), coco=("63.9/87.2/93.9", "62.8/88.8/95.5")
    ),
    *peer(
        "InternVL-G", INTERN_VL, flickr=("77.7/94.8/97.3", "92.9/99.4/99.8"), coco=("73.8/94.4/98.1", "71.4/93.9/97.7")
    ),
    *peer(
        "CN-CLIP B/16",
        CN_CLIP,
        "58.4/83.6/90.0",
        "77.4",
        ("79.1/94.8/97.4", "93.5/99.0/99.5"),
        ("77.0/97.1/99.0", "77.4/96.2/98.9"),
        setting=FINE_TUNED,
    ),
    Published(
        "ERNIE-ViL 2.0 Base ViT",
        ("flickr30k-cn@val",),
        recalls("72.42/91.74/95.76", "88.8/97.9/99.4"),
        PADDLENLP,
        FINE_TUNED,
        VALIDATION,
    ),
    Published(
        "BriVL, of the paper",
        ("aic-icc@10k-pairs", "aic-icc@10k-images"),
        recalls("14.4/-/39.1", "20.3/37.0/45.6"),
        BRIVL,
        setting=UNSAID,
        footnote=UNKNOWN_BRIVL,
    ),
    Published(
        "BriVL, of the paper",
        ("ruc-cas-wenlan",),
        recalls("36.0/55.4/62.1", "36.1/55.5/62.2"),
        BRIVL,
        setting=UNSAID,
        footnote=f"{UNSAID_BRIVL}.",
    ),
    Published("CN-CLIP B/16", ("imagenet-zh",), {"acc@1": "48.4"}, QA_CLIP),
    Published("CN-CLIP L/14", ("imagenet-zh",), {"acc@1": "54.7"}, QA_CLIP),
    Published("QA-CLIP B/16", ("imagenet-zh",), {"acc@1": "49.7"}, QA_CLIP),
    Published("QA-CLIP L/14", ("imagenet-zh",), {"acc@1": "55.8"}, QA_CLIP),
    graded("ERNIE-ViL 2.0 Base ViT", "41.3/66.0/74.2", "60.5", "2.759", "76.4/83.5/88.6", "76.8"),
    graded("CN-CLIP B/16", "38.4/62.8/70.4", "57.2", "2.718", "76.8/83.5/88.5", "76.4"),
    graded("CN-CLIP L/14", "43.4/68.5/75.6", "62.5", "2.812", "77.3/84.0/88.9", "77.5"),
    graded("Wukong L/14", "31.1/50.3/58.3", "46.6", "2.229", "73.9/81.1/87.2", "73.8"),
    graded("R2D2-250M L/14", "35.6/51.2/53.5", "46.8", "2.829", "78.9/84.2/89.1", "77.5"),
    graded("QA-CLIP B/16", "40.0/65.2/72.4", "59.2", "2.804", "77.4/83.8/88.8", "77.0"),
    graded("AltCLIP L", "16.2/28.4/33.6", "26.1", "1.869", "66.9/77.1/84.2", "70.1"),
)


def published_for(benchmark: str | None) -> list[Published]:
    """The Published rows of exactly this benchmark and protocol: zero-shot ones first, else in order."""
    name = ALIASES.get(benchmark, benchmark)
    rows = [row for row in FIGURES if name in row.benchmarks]
    return sorted(rows, key=lambda row: row.setting != ZERO_SHOT)


def protocol_of(benchmark: str) -> str:
    """One line on what is measured, or an empty one for a benchmark that is not known."""
    family, _, name = benchmark.partition("@")
    of_family = FAMILIES.get(family, "").format(name).removesuffix(", set ")
    return PROTOCOLS.get(ALIASES.get(benchmark, benchmark)) or of_family
