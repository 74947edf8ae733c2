"""A run put together: everything is checked and opened before a model is built, and saved before anything is shown.

Every rank has the same Trainer on its share of each batch; rank 0 speaks and writes. `loop.py` walks over the batches,
`validation.py` measures, `rig.py` takes the steps.
"""

import contextlib
import copy
import os
from pathlib import Path

from ..config.run import RunConfig
from ..data.batches.loader import Loader
from ..data.batches.order import Order
from ..data.sources.open import open_pairs
from ..errors import ConfigError, UserError
from ..files.atomic import atomic_file
from ..files.leftovers import clear_leftovers_in
from ..files.paths.place import check_folder
from ..files.run_folder import alone_in
from ..inference.model import Model
from ..objectives.gather import divide
from ..plugins import code_digests
from ..schema import as_dict
from ..stop import StopRequest
from .before_after import BeforeAfter
from .checkpoint_scores import damaged_scores, read_score
from .distributed import Ranks, join_ranks
from .locked.filling import LockedImages, drawn_rows
from .log.run_log import RunLog, SilentLog
from .loop import Walk, evaluation_due
from .resume import changed_code, check_size, compare
from .retention import clear_unfinished
from .rig import Rig
from .run_checkpoints import Checkpoints
from .setup.completion import complete_settings, look_up_settings
from .setup.initial_weights import check_init
from .setup.preflight import check_finite, check_precision, check_second_caption, check_sharding, check_towers
from .setup.view_maker import view_maker
from .setup.vocabulary import open_vocabulary
from .validation import Validation

SAYING = "Ctrl-C: the weights are saved after this step; a second Ctrl-C stops at once, without that"


class Trainer:
    """One run of a RunConfig; `run()` trains. The configuration that is given stays as it is, `config` is a copy.

    resume: None for a new run, "auto" for the latest checkpoint of the output folder (a new run when there is none), or
    the path of a checkpoint. ranks: those of the run, by default as the launcher says. Raises ConfigError, DataError or
    CheckpointError, before a model is built where the configuration cannot work here.
    """

    def __init__(self, config: RunConfig, resume: str | None = None, ranks: Ranks | None = None) -> None:
        self.config = config = copy.deepcopy(config)
        self.folder = Path(config.output)
        self.code = code_digests()
        check_precision(config.train)
        complete_settings(config.model)
        self.ranks = ranks or join_ranks(config.train.patience)
        check_sharding(config.train.sharding)
        share = divide(config.train.batch_size, config.train.micro_batch, self.ranks.rank, self.ranks.size)
        look_up_settings(config.model)
        check_towers(config, share)
        check_second_caption(config)
        if self.ranks.main:
            check_folder(config.output)
        if resume is None and (self.folder / "log.jsonl").exists():
            raise ConfigError(
                f"{self.folder} already holds a run; go on with it with --resume auto, give another folder with "
                "-o output=..., or remove it"
            )
        self.checkpoints = Checkpoints(self.folder / "checkpoints", self.ranks, config.train.keep)
        self.notes = self._clear() if self.ranks.main else []
        self.ranks.wait()
        self.source = open_pairs(config.data.train)
        valid = open_pairs(config.data.valid) if config.data.valid is not None else None
        self.resumed = self.checkpoints.latest() if resume == "auto" else resume
        saved = self.checkpoints.load(self.resumed) if self.resumed else None
        tokenizer = open_vocabulary(config, self.resumed, self.ranks)
        self.checkpoints.vocab = (self.folder / "vocab.txt").read_bytes()
        self.notes += [*self.source.notes, *(valid.notes if valid is not None else ())]
        if saved:
            self.notes += compare(config, saved.state["run"], self.resumed)
            self.notes += changed_code(self.code, saved.state.get("code"), self.resumed)
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
        self.maker = view_maker(config, tokenizer)
        self.rig = Rig(config, self.ranks, share, self.notes, fresh=saved is None)
        encoder = Model(self.rig.model, tokenizer, self.maker.limits)
        self.validation = Validation(valid, encoder, self.ranks, before_after, tuned and not self.first)
        self.stopped, self.unmeasured, self.status, self.stop = False, False, 0, StopRequest()
        if self.ranks.main:
            self.notes += filter(None, [self.checkpoints.abandon_after(self.first)])
        if saved:
            self._go_on(saved)
        cached = config.data.cache_locked
        self.locked = LockedImages(config, self.rig, self.maker, self.source, self.ranks) if cached else None

    def _clear(self) -> list[str]:
        """Remove what a run that was killed left half-written; sentences on what it was."""
        return [*clear_leftovers_in(self.folder), *clear_leftovers_in(self.checkpoints.folder)]

    def _go_on(self, saved) -> None:
        """Take back what the checkpoint holds."""
        step, (epoch, sample) = saved.state["step"], saved.state["position"]
        self.rig.load(saved.groups, saved.state, self.resumed)
        score = read_score(Path(self.resumed))
        self.validation.metrics = score.metrics if score else saved.state.get("metrics", {})
        if os.path.realpath(Path(self.resumed).parent) == os.path.realpath(self.checkpoints.folder):
            due = self.validation.valid is not None and evaluation_due(self.config.train, step)
            self.unmeasured = due and score is None
            if self.ranks.main:
                self.notes += [
                    f"{path} is damaged and does not count" for path in damaged_scores(self.checkpoints.folder)
                ]
        self.notes.append(f"going on from {self.resumed}: step {step}, epoch {epoch}, sample {sample} of it")

    def run(self) -> Path | None:
        """Train to the last step, or to a signal; returns the path of the last checkpoint, a model directory.

        `stopped` tells afterwards whether a signal ended it early, `status` what to exit with; None is returned where
        it came before the first step of a new run. A run that was at its end already does nothing, but for a validation
        that it owes.
        """
        ended = self.first >= self.config.train.steps
        if ended and not self.unmeasured:
            return Path(self.resumed)
        with alone_in(self.folder) if self.ranks.main else contextlib.nullcontext():
            if self.ranks.main:
                self.notes += clear_unfinished(self.checkpoints.folder)
            return self._run(ended)

    def _run(self, ended: bool) -> Path | None:
        log = self._log()
        self.ranks.wait()
        log.say(self._describe())
        for note in self.notes:
            log.say(f"note: {note}")
        loader = self._loader()
        try:
            with StopRequest(SAYING) as self.stop:
                stop = self.stop
                if self.unmeasured:
                    self.evaluate(self.first, log, stop)
                ready = not ended and not self.stopped and self._encode_images(log)
                path = Walk(self, loader, log, stop).run() if ready else None
                self.status = stop.status if self.stopped else 0
                return path or (Path(self.resumed) if self.resumed else None)
        except (RuntimeError, ValueError, OSError) as error:
            sentence = self.ranks.lost(error)
            if sentence is None:
                raise
            raise UserError(sentence) from error
        finally:
            loader.close()
            self.close()
            log.close()

    def _encode_images(self, log: RunLog | SilentLog) -> bool:
        """Have the embeddings of a locked tower at hand where the run keeps them; False where a signal came first."""
        if self.locked is not None:
            rows = drawn_rows(self.order, self.config.train.steps - self.first)
            self.stopped = not self.locked.fill(rows, log, lambda: self.stop.asked)
        return not self.stopped

    def _loader(self) -> Loader:
        share, data = self.rig.share, self.config.data
        return Loader(
            self.source,
            self.maker,
            self.order,
            self.config.train.steps - self.first,
            workers=data.workers,
            max_bad=data.max_bad,
            part=slice(share.start, share.start + share.rows),
            timeout=data.timeout,
        )

    def _tell(self, log: RunLog | SilentLog) -> None:
        """Say what went wrong beside the weights."""
        while self.checkpoints.notes:
            log.say(f"note: {self.checkpoints.notes.pop(0)}")

    def close(self) -> None:
        """End the threads."""
        self.rig.close()

    def leave(self) -> None:
        """To be called last, when the run ended well: rank 0 keeps the ranks' meeting point until all are done."""
        self.ranks.leave()

    def _log(self) -> RunLog | SilentLog:
        if not self.ranks.main:
            return SilentLog(self.ranks.rank)
        train = self.config.train
        return RunLog(self.folder, train.steps, self.first, train.console, again=self.unmeasured)

    def _describe(self) -> str:
        size = self.ranks.size
        return (
            f"{self.source.describe()}; {self.order.batches_per_epoch} batches an epoch, model of "
            f"{self.rig.parameter_count:,} parameters, views {', '.join(self.rig.system.views)}, "
            f"{size} process{'es' * (size > 1)}, micro-batches of {self.rig.share.micro}, output {self.folder}"
        )

    def evaluate(self, step: int, log: RunLog | SilentLog, stop: StopRequest) -> None:
        """Measure the weights of a step, which are saved, on the whole validation source; its score is written beside
        them, and decides which checkpoint is the best."""
        rig, metrics = self.rig, None
        with rig.averaged(), rig.precision():
            if self.validation.valid is not None:
                metrics = self.validation.measure(step, log, stop)
            if step == self.config.train.steps:
                self.validation.end(step, log, metrics or {}, stop)
        interrupted = any(self.ranks.any(self.validation.interrupted))
        if metrics and not interrupted:
            try:
                self.checkpoints.score(step, metrics["mean_recall"], metrics)
            except UserError as error:
                log.say(f"note: {error}; the weights are saved, and --resume auto measures them again")
        rig.model.train()
        self._tell(log)
        self.stopped = self.stopped or interrupted

    def save(self, step: int, log: RunLog | SilentLog, passing: bool = False, prune: bool = True) -> Path:
        """Write the checkpoint of a step; returns its path. passing, prune: as for `Checkpoints.save`."""
        rig = self.rig
        with rig.weights.shown():
            check_finite(rig.model, step)
        state = {
            "step": step,
            "position": self.order.position(step - self.first),
            "loss_scale": rig.scale.state() if rig.scale else None,
            "ranks": self.ranks.size,
            "samples": len(self.source),
            "before": self.validation.before_after.before,
            "run": as_dict(self.config),
            **({"code": self.code} if self.code else {}),
        }
        exported, groups = (rig.exported(), rig.state()) if self.ranks.main else ({}, {})
        gone = self.ranks.main and not (self.folder / "vocab.txt").is_file()
        path = self.checkpoints.save(state, exported, self.config.model, groups, rig.shard_state(), passing, prune)
        rig.model.train()
        if gone:
            log.say(f"note: {self.folder} was removed while the run went on; it is made anew, with these weights alone")
            with contextlib.suppress(OSError), atomic_file(self.folder / "vocab.txt") as handle:
                handle.write(self.checkpoints.vocab)  # a courtesy: the checkpoint has its own
        self._tell(log)
        log.say(f"checkpoint: {path}")
        return path
