"""What each protocol of a benchmark measures, in a line, and its other names."""

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
    "ruc-cas-wenlan": "BriVL's own test set, whose files are not published: no command here measures it",
    "imagenet-zh": "zero-shot classification by Chinese class names and prompts",
}
ALIASES = {
    "flickr30k-cn@1k": "flickr30k-cn",
    "flickr30k@1k": "flickr30k",
    "muge@valid": "muge",
    "cbvs@20k": "cbvs",
}
"""full names of benchmarks that have one protocol"""
FAMILIES = {
    "elevater-zh": "zero-shot classification by Chinese class names and prompts, set {}",
    "sts": "correlation of cosines with human scores, set {}",
    "image-retrieval": "mean average precision, images with a common label are right, set {}",
}


def protocol_of(benchmark: str) -> str:
    """One line on what is measured, or an empty one for a benchmark that is not known."""
    family, _, name = benchmark.partition("@")
    of_family = FAMILIES.get(family, "").format(name).removesuffix(", set ")
    return PROTOCOLS.get(ALIASES.get(benchmark, benchmark)) or of_family
