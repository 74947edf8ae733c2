"""A run put together: everything is checked and opened before a model is built, and saved before anything is shown.

Every rank has the same Trainer on its share of each batch; rank 0 speaks and writes. `loop.py` walks over the batches,
`validation.py` measures, `rig.py` takes the steps.
"""

import copy
from pathlib import Path

from ..config.run import RunConfig
from ..data.batches.loader import Loader
from ..data.batches.order import Order
from ..data.batches.views import ViewMaker
from ..data.images.limits import limits_of
from ..data.sources.open import open_source
from ..errors import ConfigError, UserError
from ..inference.model import Model
from ..objectives.gather import divide
from ..schema import as_dict
from ..stop import StopRequest
from ..systems.registry import system_class
from .before_after import BeforeAfter
from .distributed import join_ranks, lost_rank
from .log.run_log import RunLog, SilentLog
from .loop import train
from .resume import check_size, compare
from .rig import Rig
from .run_checkpoints import Checkpoints
from .setup.completion import complete_settings, look_up_settings
from .setup.initial_weights import check_init
from .setup.preflight import check_finite, check_precision, check_sharding, check_towers
from .setup.vocabulary import open_vocabulary
from .validation import Validation


class Trainer:
    """One run of a RunConfig; `run()` trains. The configuration that is given stays as it is, `config` is a copy.

    resume: None for a new run, "auto" for the latest checkpoint of the output folder (a new run when there is none), or
    the path of a checkpoint. Raises ConfigError, DataError or CheckpointError, before a model is built where the
    configuration cannot work here.
    """

    def __init__(self, config: RunConfig, resume: str | None = None) -> None:
        self.config = config = copy.deepcopy(config)
        self.folder = Path(config.output)
        check_precision(config.train)
        complete_settings(config.model)
        self.ranks = join_ranks()
        check_sharding(config.train.sharding)
        share = divide(config.train.batch_size, config.train.micro_batch, self.ranks.rank, self.ranks.size)
        look_up_settings(config.model)
        check_towers(config, share)
        if resume is None and (self.folder / "log.jsonl").exists():
            raise ConfigError(
                f"{self.folder} already holds a run; go on with it with --resume auto, give another folder with "
                "-o output=..., or remove it"
            )
        self.ranks.wait()
        self.source = open_source(config.data.train)
        valid = open_source(config.data.valid) if config.data.valid is not None else None
        self.checkpoints = Checkpoints(
            self.folder / "checkpoints", self.folder / "vocab.txt", self.ranks, config.train.keep
        )
        self.resumed = self.checkpoints.latest() if resume == "auto" else resume
        saved = self.checkpoints.load(self.resumed) if self.resumed else None
        tokenizer = open_vocabulary(config, self.resumed, self.ranks)
        self.notes = [*self.source.notes, *(valid.notes if valid is not None else ())]
        if saved:
            self.notes += compare(config, saved.state["run"], self.resumed)
            check_size(len(self.source), saved.state["samples"], self.resumed)
            config.init.text = config.init.image = None
        else:
            self.notes += check_init(config, tokenizer)
        tuned = bool(config.init.text and config.init.image)
        before_after = BeforeAfter(config.data, valid, saved.state.get("before") if saved else None)
        self.first, position = (saved.state["step"], saved.state["position"]) if saved else (0, (0, 0))
        self.order = Order(
            self.source.shard_sizes(), config.train.batch_size, config.seed, config.data.shuffle_window, position
        )
        self.maker = ViewMaker(
            system_class(config.model.system).objective_of(config).views,
            tokenizer,
            config.model.pixels,
            config.data.augmentation,
            config.objective.tag_language,
            config.seed,
            config.data.reduced_decode,
            limits_of(config.data.damaged),
        )
        self.rig = Rig(config, self.ranks, share, self.notes, fresh=saved is None)
        encoder = Model(self.rig.model, tokenizer, self.maker.limits)
        self.validation = Validation(valid, encoder, self.ranks, before_after, tuned and not self.first)
        if saved:
            self._go_on(saved)

    def _go_on(self, saved) -> None:
        """Take back what the checkpoint holds."""
        step, (epoch, sample) = saved.state["step"], saved.state["position"]
        self.rig.load(saved.groups, saved.state, self.resumed)
        self.validation.metrics = saved.state["metrics"]
        if self.ranks.main and Path(self.resumed).parent.resolve() == self.checkpoints.folder.resolve():
            self.notes += filter(None, [self.checkpoints.abandon_after(step)])
        self.notes.append(f"going on from {self.resumed}: step {step}, epoch {epoch}, sample {sample} of it")

    def run(self) -> Path:
        """Train to the last step, or to a SIGTERM; returns the path of the last checkpoint, a model directory.

        `stopped` tells afterwards whether a signal ended it early. A run that was at its end already does nothing.
        """
        if self.first >= self.config.train.steps:
            return Path(self.resumed)
        log = self._log()
        self.ranks.wait()
        log.say(self._describe())
        for note in self.notes:
            log.say(f"note: {note}")
        share, data = self.rig.share, self.config.data
        loader = Loader(
            self.source,
            self.maker,
            self.order,
            self.config.train.steps - self.first,
            workers=data.workers,
            max_bad=data.max_bad,
            part=slice(share.start, share.start + share.rows),
            timeout=data.timeout,
        )
        try:
            with StopRequest() as stop:
                return train(self, loader, log, stop)
        except (RuntimeError, ValueError, OSError) as error:
            sentence = lost_rank(error) if self.ranks.size > 1 else None
            if sentence is None:
                raise
            raise UserError(sentence) from error
        finally:
            loader.close()
            self.close()
            log.close()

    @property
    def stopped(self) -> bool:
        """Whether a signal asked some rank to stop."""
        return self.rig.stopped

    def close(self) -> None:
        """End the threads."""
        self.rig.close()

    def leave(self) -> None:
        """To be called last, when the run ended well: rank 0 keeps the ranks' meeting point until all are done."""
        self.ranks.leave()

    def _log(self) -> RunLog | SilentLog:
        if not self.ranks.main:
            return SilentLog(self.ranks.rank)
        return RunLog(self.folder, self.config.train.steps, self.first, self.config.train.console)

    def _describe(self) -> str:
        size = self.ranks.size
        return (
            f"{self.source.describe()}; {self.order.batches_per_epoch} batches an epoch, model of "
            f"{self.rig.parameter_count:,} parameters, views {', '.join(self.rig.system.views)}, "
            f"{size} process{'es' * (size > 1)}, micro-batches of {self.rig.share.micro}, output {self.folder}"
        )

    def evaluate(self, step: int, log: RunLog | SilentLog) -> Path:
        """Validate on the whole validation source, log the recalls and write a checkpoint; returns its path."""
        rig = self.rig
        check_finite(rig.model, step)
        score = None
        if self.validation.valid is not None:
            with rig.averaged(), rig.precision():
                score = self.validation.measure(step, log)
        path = self.save(step, log, score)
        if step == self.config.train.steps:  # after the save: what fails here must not cost the trained weights
            with rig.averaged(), rig.precision():
                self.validation.end(step, log)
        return path

    def save(self, step: int, log: RunLog | SilentLog, score: float | None = None) -> Path:
        """Write the checkpoint of a step; returns its path. `score` decides which one is the best."""
        rig = self.rig
        state = {
            "step": step,
            "position": self.order.position(step - self.first),
            "loss_scale": rig.scale.state() if rig.scale else None,
            "ranks": self.ranks.size,
            "samples": len(self.source),
            "metrics": self.validation.metrics,
            "before": self.validation.before_after.before,
            "run": as_dict(self.config),
        }
        exported, groups = (rig.exported(), rig.state()) if self.ranks.main else ({}, {})
        path = self.checkpoints.save(state, exported, self.config.model, groups, rig.shard_state(), score)
        rig.model.train()
        log.say(f"checkpoint: {path}")
        return path
