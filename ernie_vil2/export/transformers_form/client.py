"""What the client of a folder of transformers computes with: torch, on the model's own pixels and ids."""

from ..client_program import Runtime

TRANSFORMERS = Runtime(
    "torch and transformers",
    "import torch\nimport transformers",
    ("transformers",),
    '''
@functools.cache
def model():
    return transformers.VisionTextDualEncoderModel.from_pretrained(HERE).eval()


def tower(side):
    """A function from the arrays of a batch to raw embeddings float32 [B, D]."""

    def run(array):
        array = torch.from_numpy(array)
        with torch.inference_mode():
            if side == "image":
                found = model().get_image_features(pixel_values=array)
            else:
                mask = (array != TOKENS["pad_id"]).long()
                found = model().get_text_features(input_ids=array, attention_mask=mask)
        return getattr(found, "pooler_output", found).numpy()  # transformers 5 gives all that lies before it, too

    return run
''',
    needs=("torch",),
)
