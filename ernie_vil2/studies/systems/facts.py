"""What is published of each system, what is not, and what stands in: written by hand for the page of systems."""

from dataclasses import dataclass

from ...pages.markdown import filled


@dataclass(frozen=True)
class Facts:
    """model: the towers of its recipe; published, missing: what its authors gave and what they did not; standing_in:
    this project's defaults for the rest; command: trains it in the size of its authors, given data."""

    model: str
    published: str
    missing: str
    standing_in: str
    command: str


FACTS = {
    "clip": Facts(
        "two separate towers, images against captions, the whole batch as negatives",
        "the loss, and image towers of OpenAI, open_clip and Chinese-CLIP, which convert "
        "([checkpoints.md](checkpoints.md)) and can start a training; Chinese-CLIP's recipe (batch 32,768, lr 1e-4 "
        "with the image tower frozen, then lr 2e-5) and its figures ([benchmarks.md](benchmarks.md))",
        "nothing that the loss needs; this project knows no weights of a CLIP on exactly the towers of its command",
        "the towers and values of ERNIE-ViL 2.0's recipe, with the first of its pairs of views alone",
        "ernie-vil2 train -c ernie_vil2_base_vit_zh -o 'objective.pairs=[[image, caption, 1.0]]'",
    ),
    "ernie_vil2": Facts(
        "two separate towers, five pairs of views: image, a second image, caption, a second caption, object tags",
        "the Chinese base model for inference, with vocabulary and pixels ([parity.md](parity.md)); the views and "
        "the loss of each pair; zero-shot results of four sizes",
        "weights of the pairs, the number of temperatures, whether there is a queue, hyper-parameters of "
        "pre-training; of the other sizes this project has seen no weights; the release cannot train",
        "weight 1 for each pair in the recipe (in the table above 0.5 for the pairs within a modality and with tags), "
        "the other caption of an image as the second one, one learnable temperature for each group of pairs, the batch "
        "as negatives, and the values with which Baidu fine-tunes these towers (lr 3e-5, betas 0.9 and 0.997, epsilon "
        "1e-9, warm-up 1,000, dropout 0.1)",
        "ernie-vil2 train -c ernie_vil2_base_vit_zh",
    ),
    "brivl": Facts(
        "towers under heads that read boxes of an image and all tokens of a text, queues of keys from a momentum copy",
        "architecture, sizes, pixels, tokens and frozen parts of release 1.0, its loss, queues of 9,600, momentum "
        "0.99 and temperature 0.07, weights for inference ([brivl.md](brivl.md))",
        "the training script: optimizer, rates, steps, batch, whether batch norms learn; the weights of the paper's "
        "larger model",
        "AdamW, 1e-4, warm-up of 1,000 steps, frozen batch norms; the table above has the heads over a ViT and a "
        "grid of boxes, small, with samples inside of each box (the release's grids fall outside of so small a map), a "
        "queue of 1,024, and a momentum that is equal in pairs",
        "ernie-vil2 train -c brivl_1.0",
    ),
    "cookie": Facts(
        "two towers under one transformer with the same weights for image tokens and text tokens, three losses",
        "two papers; of their structure and losses what the abstracts say, three tasks, gains of 5.7 points in image "
        "retrieval and 3.9 in text matching over single-modal pre-training, 3/1000 of a one-stream model's time",
        "any code (the authors' repository holds a readme that announces it), weights, sizes of the shared layers, "
        "pooling, weights and temperatures of the losses, optimizer",
        "two shared layers as wide as base towers (768) after one Linear for each modality, the mean over tokens, "
        "weight 1 for each loss in the recipe (in the table above 0.5 for the two within a modality), the same caption "
        "under another dropout mask as the second one, one learnable temperature for each kind of pair "
        "([cookie.md](cookie.md)); the table above has one shared layer of width 64",
        "ernie-vil2 train -c cookie",
    ),
}


def section(name: str, title: str) -> str:
    """The facts of a system, as Markdown under a heading of the third level."""
    facts = FACTS[name]
    told = {
        "What it is": facts.model,
        "Published": facts.published,
        "Not published": facts.missing,
        "What stands in": facts.standing_in,
    }
    lines = [filled(f"**{head}**: {text}.", "- ", "  ") for head, text in told.items()]
    return "\n".join(
        [f"### {title}", "", *lines, "", "```bash", "# needs: pairs of your own, and a card", facts.command, "```"]
    )
