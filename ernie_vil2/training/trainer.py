"""The training loop: batches of views through the objective into AdamW, with validation, log and checkpoints."""

import math
import time
from pathlib import Path

import paddle

from ..data.loader import Loader, Order
from ..data.sources import open_source
from ..data.text import Tokenizer
from ..data.views import ViewMaker
from ..errors import ConfigError, DataError, UserError
from ..evaluation.retrieval import encode_source, evaluate
from ..inference.encoder import Model
from ..objectives.contrastive import ContrastiveObjective
from .log import RunLog, duration
from .optim import build_optimizer, clip_gradients
from .start import check_init, prepare_vocab, start_model
from .state import Checkpoints
from .step import GradientStep

SHOWN = ("t2i_r1", "t2i_r5", "t2i_r10", "i2t_r1", "i2t_r5", "i2t_r10", "mean_recall")


class Trainer:
    """One run of a RunConfig: everything is checked and opened on construction, `run()` trains.

    Raises ConfigError or DataError before a model is built when the configuration cannot work here.
    """

    def __init__(self, config):
        self.config = config
        check_precision(config.train.precision)
        self.folder = Path(config.output)
        if (self.folder / "log.jsonl").exists():
            raise ConfigError(
                f"{self.folder} already holds a run; give another folder with -o output=..., or remove it"
            )
        self.objective = ContrastiveObjective(config.objective)
        self.source = open_source(config.data.train)
        self.valid = open_source(config.data.valid) if config.data.valid is not None else None
        self.order = Order(len(self.source), config.train.batch_size, config.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        vocab = prepare_vocab(config, self.folder)
        tokenizer = Tokenizer(vocab, config.model.max_length, config.model.lower_case)
        config.model.text_tower.vocab_size = fitting_rows(
            config.model.text_tower.vocab_size, tokenizer.vocab_size, vocab
        )
        self.maker = ViewMaker(
            self.objective.views,
            tokenizer,
            config.model.pixels,
            config.data.augmentation,
            config.objective.tag_language,
            config.seed,
        )
        check_init(config, tokenizer)
        with paddle.utils.unique_name.guard():
            self.model = start_model(config, self.objective.groups)
        self.optimizer, self.schedule = build_optimizer(self.model, config.optimizer, config.train.steps)
        self.scaler = paddle.amp.GradScaler() if config.train.precision == "fp16" else None
        self.gradients = GradientStep(self.model, self.objective, config.seed, config.train.precision, self.scaler)
        self.encoder = Model(self.model, tokenizer)
        self.checkpoints = Checkpoints(self.folder / "checkpoints", vocab, config)
        self.metrics = {}

    def run(self):
        """Train to the last step; returns the path of the last checkpoint, a model directory."""
        config = self.config
        log = RunLog(self.folder, config.train.steps)
        log.say(f"train: {self.source.describe()}")
        if self.valid is not None:
            log.say(f"valid: {self.valid.describe()}")
        log.say(
            f"model: {sum(math.prod(value.shape) for value in self.model.parameters()):,} parameters, views "
            f"{', '.join(self.objective.views)}, output {self.folder}"
        )
        loader = Loader(
            self.source,
            self.maker,
            self.order,
            config.train.steps,
            workers=config.data.workers,
            max_bad=config.data.max_bad,
        )
        try:
            return self._loop(loader, log)
        finally:
            self.gradients.close()
            log.close()

    def _loop(self, loader, log):
        config, path = self.config, None
        clock, reading, since = time.perf_counter(), 0.0, 0
        began = clock
        batches = iter(loader)
        self.model.train()
        for step in range(config.train.steps):
            waiting = time.perf_counter()
            batch, bad = next(batches)
            reading += time.perf_counter() - waiting
            self._note_bad(bad)
            values = self.step(batch, step)
            log.bar.update()
            since += 1
            done = step + 1
            if done % config.train.log_every == 0 or done == config.train.steps:
                now = time.perf_counter()
                cost = (now - clock) / since
                values.update(
                    reader_cost=reading / since,
                    batch_cost=cost,
                    ips=config.train.batch_size / cost,
                    eta=duration((config.train.steps - done) * (now - began) / done),
                )
                log.record("train", done, values)
                clock, reading, since = now, 0.0, 0
            if done == config.train.steps or (config.train.eval_every and done % config.train.eval_every == 0):
                paused = time.perf_counter()
                path = self.evaluate(done, log)
                clock += time.perf_counter() - paused
        return path

    def step(self, batch, step):
        """One optimizer step on a Batch; returns what the log shows of it."""
        parts = self.gradients(batch, step)
        if not parts:
            raise DataError(
                f"step {step + 1}: no sample of the batch has both views of any pair; "
                f"check that the source has the views "
                f"{', '.join(self.objective.views)}, first sample {batch.where[0]}"
            )
        loss = parts["loss"]
        if not math.isfinite(loss.item()):
            raise UserError(
                f"step {step + 1}: the loss is {loss.item()}; samples {', '.join(batch.where[:3])} ... ; "
                "lower optimizer.lr or "
                "check the data, then start from the last checkpoint with init"
            )
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.model.parameters(), self.config.optimizer.clip)
        if self.scaler is None and not math.isfinite(norm):  # the scaler skips such a step by itself
            raise UserError(
                f"step {step + 1}: the norm of the gradient is {norm}; samples {', '.join(batch.where[:3])} ... ; "
                "lower optimizer.lr or check the data"
            )
        rate = self.optimizer.get_lr()
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.optimizer.clear_grad()
        self.schedule.step()
        self.model.clamp_temperatures()
        scales = {f"logit_scale_{group}": self.model.logit_scale(group).item() for group in self.model.groups}
        return {**{name: value.item() for name, value in parts.items()}, **scales, "lr": rate, "grad_norm": norm}

    def evaluate(self, step, log):
        """Validate on the whole validation source, log the recalls and write a checkpoint; returns its path."""
        check_finite(self.model, step)
        score, metrics = None, {}
        if self.valid is not None:
            embeddings = encode_source(self.encoder, self.valid, skip_broken=True)
            for note in embeddings.notes:
                log.say(f"valid: {note}")
            metrics = evaluate(embeddings, "standard")["standard"]
            self.metrics, score = metrics, metrics["mean_recall"]
            log.record("valid", step, {**{key: metrics[key] for key in SHOWN}, "source": self.valid.name})
        self.model.train()
        path = self.checkpoints.save(self.model, step, score, metrics)
        log.say(f"checkpoint: {path}")
        return path

    def _note_bad(self, bad):
        if bad:
            with open(self.folder / "bad.txt", "a", encoding="utf-8") as handle:
                handle.writelines(f"{error}\n" for error in bad)


def check_precision(precision):
    """Refuse what would silently stay fp32: Paddle has no bf16 or fp16 kernels on a CPU, nor bf16 on older cards."""
    if precision != "fp32" and not (paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count()):
        raise ConfigError(
            f"train.precision {precision} needs a GPU, and Paddle sees none here (on a CPU it would silently stay "
            "in fp32); set train.precision: fp32"
        )
    if precision == "bf16" and not paddle.amp.is_bfloat16_supported():
        raise ConfigError(
            "train.precision bf16 needs a GPU of compute capability 8.0 or more; set train.precision: fp16"
        )


def check_finite(model, step):
    """Refuse to validate or save weights that are no numbers."""
    for name, parameter in model.named_parameters():
        if not paddle.isfinite(parameter).all().item():
            raise UserError(f"step {step}: {name} is no longer finite, so it is not saved; lower optimizer.lr")


def fitting_rows(rows, tokens, vocab):
    """Rows of the word embedding for a vocabulary: 0 means as many as it has tokens."""
    if rows == 0:
        return tokens
    if rows < tokens:
        raise ConfigError(
            f"the vocabulary {vocab} has ids up to {tokens - 1} but model.text_tower.vocab_size is {rows}; "
            "raise it, or set it to 0"
        )
    return rows
