"""The target `transformers`: a folder that VisionTextDualEncoderModel.from_pretrained loads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...checkpoints.formats.safetensors_file import write_safetensors
from ...checkpoints.model_directory import CONFIG, WEIGHTS
from ...config.model import ModelConfig
from ...conversion.targets import as_json, write_bytes
from ...files.atomic import synced_file
from ...files.leftovers import scratch_folder
from ...inference.engines.engine import Run
from ...inference.model import Model
from ...models.lora import merged_state
from ..client_program import write_client
from ..parity_inputs import drawn_items
from ..target import Target
from .client import TRANSFORMERS
from .pixels import PROCESSOR, processor_difference, processor_note, processor_settings
from .runtime import LIBRARIES, loaded_model, loaded_readers, refuse_missing_libraries, runs_of
from .tokenizer import SETTINGS, TOKENIZER, tokenizer_files, tokenizer_note
from .weights import TEMPERATURE, model_settings, model_state, refuse_other_forms


class TransformersTarget(Target):
    """Hugging Face transformers on torch: both towers in one model, with a tokenizer and an image processor."""

    name, distributions = "transformers", LIBRARIES

    def check(self, config: ModelConfig) -> None:
        """ConfigError for a part that transformers has no form of, and where a library is missing."""
        refuse_other_forms(config)
        refuse_missing_libraries()

    def write(self, model: Model, folder: Path) -> list[str]:
        """Write weights, tokenizer, image processor and client; notes on the pixels and ids that transformers makes."""
        state = merged_state(model.network)
        with synced_file(folder / WEIGHTS) as handle:
            write_safetensors(handle, model_state(state, model.config), "pt")
        files = tokenizer_files(model.tokenizer) | {
            CONFIG: model_settings(model.config, float(state[TEMPERATURE].item())),
            PROCESSOR: processor_settings(model.config.pixels),
        }
        for name, content in files.items():
            write_bytes(folder / name, as_json(content))
        write_client(folder, TRANSFORMERS, model.config.pixels)
        tokenizer, processor = loaded_readers(folder)
        with scratch_folder("pictures") as scratch:
            items = drawn_items(scratch)
            difference = processor_difference(processor, model, items.pictures)
        return [
            processor_note(difference, type(processor).__name__),
            tokenizer_note(tokenizer, model.tokenizer, items.texts),
        ]

    def parts(self, model: Model) -> dict[str, dict[str, Any]]:
        """Files, inputs and output of each tower."""
        side = model.config.pixels.size
        output = {"dtype": "float32", "shape": ["batch", model.embed_dim]}
        return {
            "image": {
                "files": [CONFIG, WEIGHTS, PROCESSOR],
                "call": "VisionTextDualEncoderModel.get_image_features",
                "inputs": [{"name": "pixel_values", "dtype": "float32", "shape": ["batch", 3, side, side]}],
                "output": output,
            },
            "text": {
                "files": [CONFIG, WEIGHTS, TOKENIZER, SETTINGS],
                "call": "VisionTextDualEncoderModel.get_text_features",
                "inputs": [
                    {"name": name, "dtype": "int64", "shape": ["batch", "length"]}
                    for name in ("input_ids", "attention_mask")
                ],
                "output": output,
            },
        }

    def runs(self, model: Model, folder: Path) -> Mapping[str, Run]:
        """The Run of each tower, on one copy of the weights."""
        return runs_of(loaded_model(folder), model.tokenizer.pad_id)
