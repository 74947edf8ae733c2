"""The training loop: batches of views through the objective into AdamW, with validation, log and checkpoints.

Every rank runs the same loop on its share of each batch; rank 0 speaks and writes.
"""

import contextlib
import math
import time
from pathlib import Path

import numpy as np
import paddle

from ..data.batches.loader import Loader
from ..data.batches.order import Order
from ..data.batches.views import ViewMaker
from ..data.sources.open import open_source
from ..data.tokenizer import Tokenizer
from ..errors import ConfigError, DataError, UserError
from ..files.atomic import atomic_file
from ..inference.model import Model
from ..models.dual_encoder import Temperature
from ..models.lora import LoraLinear, add_lora, merged_state
from ..objectives.contrastive import ContrastiveObjective
from ..objectives.gather import divide
from ..schema import as_dict
from . import diagnostics
from .before_after import SHOWN, BeforeAfter
from .distributed import GradientSync, lost_rank, start
from .guard import Guard
from .log.pictures import places_of, projection, query_grid
from .log.run_log import RunLog, SilentLog, duration, memory
from .optimization.ema import Ema
from .optimization.freeze import Freezer
from .optimization.loss_scale import LossScale
from .optimization.optimizer import (
    build_optimizer,
    clear_gradients,
    clip_gradients,
    load_optimizer_state,
    optimizer_state,
    squared_norm,
)
from .resume import check_size, compare, restore_parameters
from .run_checkpoints import Checkpoints, arrays_of
from .setup.initial_weights import check_init, start_model
from .setup.preflight import check_finite, check_precision, check_sharding, check_towers, fitting_rows
from .setup.vocabulary import prepare_vocab
from .step import GradientStep, autocast
from .stop import StopRequest
from .validation import validate


class Trainer:
    """One run of a RunConfig: everything is checked and opened on construction, `run()` trains.

    resume: None for a new run, "auto" for the latest checkpoint of the output folder (a new run when there is none), or
    the path of a checkpoint. Raises ConfigError, DataError or CheckpointError, before a model is built where the
    configuration cannot work here.
    """

    def __init__(self, config, resume=None):
        self.config = config
        check_precision(config.train)
        self.ranks = start()
        check_sharding(config.train.sharding)
        self.share = divide(config.train.batch_size, config.train.micro_batch, self.ranks.rank, self.ranks.size)
        check_towers(config, self.share)
        self.folder = Path(config.output)
        if resume is None and (self.folder / "log.jsonl").exists():
            raise ConfigError(
                f"{self.folder} already holds a run; go on with it with --resume auto, give another folder with "
                "-o output=..., or remove it"
            )
        self.ranks.wait()
        self.objective = ContrastiveObjective(config.objective)
        self.source = open_source(config.data.train)
        self.valid = open_source(config.data.valid) if config.data.valid is not None else None
        self.checkpoints = Checkpoints(
            self.folder / "checkpoints", self.folder / "vocab.txt", self.ranks, config.train.keep
        )
        found = self.checkpoints.latest() if resume == "auto" else resume
        saved = self.checkpoints.load(found) if found else None
        tokenizer = self._tokenizer(found)
        self.maker = ViewMaker(
            self.objective.views,
            tokenizer,
            config.model.pixels,
            config.data.augmentation,
            config.objective.tag_language,
            config.seed,
            config.data.reduced_decode,
        )
        self.notes = [*self.source.notes, *(self.valid.notes if self.valid is not None else ())]
        if saved:
            self.notes += compare(config, saved[0]["run"], found)
            check_size(len(self.source), saved[0]["samples"], found)
            config.init.text = config.init.image = None
        self.notes += [] if saved else check_init(config, tokenizer)
        self.around = BeforeAfter(config.data, self.valid, saved[0].get("before") if saved else None)
        self.tuned = bool(config.init.text and config.init.image)
        self.first, position = (saved[0]["step"], saved[0]["position"]) if saved else (0, (0, 0))
        self.found, sizes = found, self.source.shard_sizes()
        self.order = Order(sizes, config.train.batch_size, config.seed, config.data.shuffle_window, position)
        self.metrics, self.similarities, self.places, self.bad = {}, None, None, 0
        self._build(tokenizer)
        if saved:
            self._restore(found, *saved)

    def _tokenizer(self, found):
        config, vocab = self.config, self.folder / "vocab.txt"
        if self.ranks.main:
            self.folder.mkdir(parents=True, exist_ok=True)
            if found:
                with atomic_file(vocab) as handle:
                    handle.write((Path(found) / "vocab.txt").read_bytes())
            else:
                prepare_vocab(config, self.folder)
        self.ranks.wait()
        model = config.model
        tokenizer = Tokenizer(vocab, model.max_length, model.lower_case, model.tokenizer)
        tower = config.model.text_tower
        tower.vocab_size = fitting_rows(tower.vocab_size, tokenizer.vocab_size, config.data.vocab or vocab)
        return tokenizer

    def _build(self, tokenizer):
        config, train = self.config, self.config.train
        with paddle.utils.unique_name.guard():
            self.model = start_model(config, self.objective, self.notes, fresh=self.found is None)
            add_lora(self.model, config.lora, config.seed)
        self.model.recompute = train.recompute
        self.freezer = Freezer(self.model, config.optimizer.freeze)
        self.sync = GradientSync(self.model, self.ranks, train.sharding)
        self.ranks.wait()
        self.sync.same_start()
        half = train.precision != "fp32" and train.amp_level == "O2"
        if half:
            self.model = paddle.amp.decorate(
                self.model, level="O2", dtype="bfloat16", excluded_layers=[Temperature, LoraLinear]
            )
        self.optimizer, self.schedule = build_optimizer(self.model, config.optimizer, train.steps, self.sync.mine())
        self.scale = LossScale() if train.precision == "fp16" else None
        self.ema = Ema(self.model, train.ema) if train.ema else None
        self.gradients = GradientStep(
            self.model, self.objective, config.seed, self.share, train.precision, train.amp_level
        )
        self.encoder = Model(self.model, tokenizer)
        self.guard = Guard(self.folder, train.spike, self.ranks.rank)
        self.updates = diagnostics.Updates(self.model)

    def _restore(self, path, state, parameters, optimizer, average):
        restore_parameters(self.model, parameters, path)
        if self.ema is not None:
            self.ema = Ema(self.model, self.config.train.ema)
        load_optimizer_state(self.optimizer, self.model, optimizer)
        self.schedule.step(state["step"])
        if self.scale is not None and state["loss_scale"]:
            self.scale.load(state["loss_scale"])
        if self.ema is not None and average is not None:
            self.ema.load(average)
        self.metrics = state["metrics"]
        if self.ranks.main and Path(path).parent.resolve() == self.checkpoints.folder.resolve():
            self.notes += filter(None, [self.checkpoints.abandon_after(state["step"])])
        epoch, sample = state["position"]
        self.notes.append(f"going on from {path}: step {state['step']}, epoch {epoch}, sample {sample} of it")

    def run(self):
        """Train to the last step, or to a SIGTERM; returns the path of the last checkpoint, a model directory.

        `stopped` tells afterwards whether a signal ended it early. A run that was at its end already does nothing.
        """
        config, self.stopped = self.config, False
        if self.first >= config.train.steps:
            return Path(self.found)
        log = self._log()
        self.ranks.wait()
        log.say(
            f"{self.source.describe()}; {self.order.batches_per_epoch} batches an epoch, model of "
            f"{sum(math.prod(value.shape) for value in self.model.parameters()):,} parameters, views "
            f"{', '.join(self.objective.views)}, {self.ranks.size} process{'es' * (self.ranks.size > 1)}, "
            f"micro-batches of {self.share.micro}, output {self.folder}"
        )
        for note in self.notes:
            log.say(f"note: {note}")
        loader = Loader(
            self.source,
            self.maker,
            self.order,
            config.train.steps - self.first,
            workers=config.data.workers,
            max_bad=config.data.max_bad,
            part=slice(self.share.start, self.share.start + self.share.rows),
            timeout=config.data.timeout,
        )
        try:
            with StopRequest() as stop:
                return self._loop(loader, log, stop)
        except (RuntimeError, ValueError, OSError) as error:
            sentence = lost_rank(error) if self.ranks.size > 1 else None
            if sentence is None:
                raise
            raise UserError(sentence) from error
        finally:
            if self.bad:
                log.say(f"note: {self.bad:,} bad rows were replaced, they are listed in {self.folder / 'bad.txt'}")
            loader.close()
            self.gradients.close()
            log.close()

    def leave(self):
        """To be called last, when the run ended well: rank 0 keeps the ranks' meeting point until all are done."""
        self.ranks.leave()

    def _log(self):
        if not self.ranks.main:
            return SilentLog(self.ranks.rank)
        return RunLog(self.folder, self.config.train.steps, self.first)

    def _loop(self, loader, log, stop):
        config, path = self.config.train, None
        if self.tuned and not self.first:
            with self._precision():
                self.around.start(self.encoder, self.ranks, log)
        clock, reading, since = time.perf_counter(), 0.0, 0
        began, batches = clock, iter(loader)
        self.model.train()
        for step in range(self.first, config.steps):
            waiting = time.perf_counter()
            batch, bad = next(batches)
            if step == self.first and loader.note:
                log.say(f"note: {loader.note}")
            self.ranks.meet()
            reading += time.perf_counter() - waiting
            self._note_bad(bad)
            done = step + 1
            show = done % config.log_every == 0 or done == config.steps
            values = self.step(batch, step, show, stop)
            log.bar.update()
            since += 1
            if show:
                now = time.perf_counter()
                cost = (now - clock) / since
                values.update(
                    reader_cost=reading / since,
                    batch_cost=cost,
                    ips=config.batch_size / cost,
                    eta=duration((config.steps - done) * (now - began) / (done - self.first)),
                    **memory(),
                )
                log.record("train", done, values)
                if self.similarities is not None:
                    log.histogram("train/similarity/positive", done, self.similarities.positive)
                    log.histogram("train/similarity/negative", done, self.similarities.negative)
                clock, reading, since = now, 0.0, 0
            last, paused = done == config.steps, time.perf_counter()
            due = config.eval_every and done % config.eval_every == 0
            if last or (due and not self.stopped):
                path = self.evaluate(done, log)
            elif due or self.stopped or (config.save_every and done % config.save_every == 0):
                path = self.save(done, log)
            clock += time.perf_counter() - paused
            if self.stopped:
                break
        return path

    def step(self, batch, step, show=True, stop=None):
        """One optimizer step on this rank's rows of a batch; returns what the log shows of it.

        With `show` the costlier figures too. A signal noted in `stop` on any rank sets `stopped` on all.
        """
        self.freezer.apply(step)
        self.gradients.frozen = tuple(tower for tower in ("image", "text") if self.freezer.frozen(tower))
        self.gradients.scale = self.scale.value if self.scale else 1.0
        parts = self.gradients(batch, step)
        asked, *sums = self.ranks.sum([stop is not None and stop.asked, *(part.item() for part in parts.values())])
        self.stopped = bool(asked)
        if not parts:
            raise DataError(
                f"step {step + 1}: no sample of the batch has both views of any pair; check that the source has the "
                f"views {', '.join(self.objective.views)}, first sample {batch.where[0]}"
            )
        values = {name: float(value) for name, value in zip(parts, sums, strict=True)}
        self.sync.reduce()
        norm, taken = self._norm(), True
        if self.scale:
            taken = self.scale.update(norm)
            values["loss_scale"] = self.scale.value
        self.guard.check(step, values["loss"], norm, batch, skippable=self.scale is not None)
        values.update(self._shown(batch) if show else {})
        values["lr"], values["grad_norm"] = self.optimizer.get_lr(), norm
        if show:
            self.updates.before()
        if taken:
            clip_gradients(self.model.parameters(), self.config.optimizer.clip, norm)
            self.optimizer.step()
            self.sync.publish()
        clear_gradients(self.model.parameters())
        self.schedule.step()
        self.model.clamp_temperatures()
        if self.ema is not None:
            self.ema.update()
        if show:
            values.update(self.updates.after())
        values.update({f"logit_scale_{group}": self.model.logit_scale(group).item() for group in self.model.groups})
        return values

    def _norm(self):
        """The norm of the whole gradient, unscaled; gradients are unscaled in place where the loss was scaled."""
        if self.scale:
            with paddle.no_grad():
                for parameter in self.model.parameters():
                    if parameter.grad is not None:
                        parameter.grad.scale_(1.0 / self.scale.value)
        return math.sqrt(self.sync.squared_norm(squared_norm(self.model.parameters())))

    def _shown(self, batch):
        similar = diagnostics.similarities(self.gradients.embeds, batch, self.objective.rule)
        norms = diagnostics.gradient_norms(self.model)
        self.similarities = similar
        norms = {name: math.sqrt(self.sync.squared_norm(norm**2)) for name, norm in norms.items()}
        return {**(similar.scalars() if similar else {}), **norms}

    def evaluate(self, step, log):
        """Validate on the whole validation source, log the recalls and write a checkpoint; returns its path."""
        check_finite(self.model, step)
        score = None
        if self.valid is not None:
            with self._averaged(), self._precision():
                metrics, embeddings = validate(self.encoder, self.valid, self.ranks)
            for note in embeddings.notes:
                log.say(f"valid: {note}")
            if self.ranks.main:
                self.metrics, score = metrics, metrics["mean_recall"]
                log.record("valid", step, {**{key: metrics[key] for key in SHOWN}, "source": self.valid.name})
                try:
                    self._draw(log, step, embeddings)
                except (UserError, OSError) as error:  # a picture is not worth the checkpoint that comes next
                    log.say(f"valid: no pictures of step {step}: {error}")
            self.ranks.wait()
            score = self.ranks.sum([score or 0.0])[0]
        path = self.save(step, log, score)
        if step == self.config.train.steps:  # after the save: what fails here must not cost the trained weights
            with self._averaged(), self._precision():
                self.around.end(step, self.encoder, self.ranks, log, self.metrics)
        return path

    def _draw(self, log, step, embeddings):
        own = embeddings.image[embeddings.text_image]
        log.histogram("valid/similarity", step, np.einsum("nd,nd->n", embeddings.text, own))
        if self.places is None:
            self.places = places_of(self.valid, embeddings, self.config.model.pixels) or ()
        if not self.places:
            return
        grid = query_grid(self.encoder, self.valid, embeddings, places=self.places)
        points = projection(self.encoder, self.valid, embeddings, places=self.places)
        if grid is not None:
            log.images("valid/queries", step, grid)
        if points is not None:
            log.projector("valid/embeddings", step, *points)

    def save(self, step, log, score=None):
        """Write the checkpoint of a step; returns its path."""
        with self._averaged():
            exported = merged_state(self.model) if self.ranks.main else {}
        differs = self.ema is not None or self.config.lora.rank
        state = {
            "step": step,
            "position": self.order.position(step - self.first),
            "loss_scale": self.scale.state() if self.scale else None,
            "ranks": self.ranks.size,
            "samples": len(self.source),
            "metrics": self.metrics,
            "before": self.around.before,
            "run": as_dict(self.config),
        }
        optimizer = None
        if self.ranks.main or self.sync.owner is not None:
            optimizer = optimizer_state(self.optimizer, self.model)
        path = self.checkpoints.save(
            state,
            exported,
            self.config.model,
            parameters=arrays_of(self.model) if differs else None,
            average=self.ema.state() if self.ema else None,
            optimizer=optimizer,
            score=score,
        )
        self.model.train()
        log.say(f"checkpoint: {path}")
        return path

    def _averaged(self):
        return self.ema.applied() if self.ema is not None else contextlib.nullcontext()

    def _precision(self):
        return autocast(self.config.train.precision, self.config.train.amp_level)

    def _note_bad(self, bad):
        self.bad += len(bad)
        if bad:
            with open(self.folder / "bad.txt", "a", encoding="utf-8") as handle:
                handle.writelines(f"{error}\n" for error in bad)
