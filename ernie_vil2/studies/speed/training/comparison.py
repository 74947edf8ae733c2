"""Training steps of this project and of torch, each in a process of its own, in turns and on the same inputs."""

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from ....config.run import RunConfig
from ....device import current_device
from ....errors import ConfigError, UserError, cause_of
from ....files.leftovers import scratch_folder
from ...noise import TEXT_LENGTH
from ..turns import peak
from ..turns.process import Process
from ..turns.torch_python import torch_python, torch_settings
from . import project, torch_side
from .measurements import PROJECT, TORCH, Comparison, Measured
from .report import three_digits
from .work import Work, tera_operations, write_inputs


def compare(
    config: RunConfig,
    batch: int,
    steps: int,
    turns: int,
    length: int | None = None,
    torch: str | os.PathLike | None = None,
    only: bool = False,
    peak_speed: float | None = None,
    note: Callable[[str], object] = lambda line: None,
) -> Comparison:
    """Take `steps` steps of `batch` pairs by each side, in so many turns.

    length: tokens of the texts, by default TEXT_LENGTH or as many as the model reads. torch: as for `torch_python`;
    only: leave torch's side out. peak_speed: operations a second of the device; None: measured on a CPU, by OpenVINO.
    ConfigError for a precision that is not there on this device, or for a length that the model does not read; torch's
    side has the reason in place of figures where it cannot take part.
    """
    from ....training.setup.preflight import check_precision
    from .steps import measured_config

    check_precision(config.train)
    most, python = config.model.max_length, torch_python(torch)
    if length is not None and length > most:
        raise ConfigError(f"--length {length} is more than the model reads; give at most model.max_length, {most}")
    length, config = length or min(TEXT_LENGTH, most), measured_config(config, batch)
    with scratch_folder("training") as folder, ExitStack() as stack:
        work = make_work(config, batch, length, folder)
        found = Comparison(work, tera_operations(config, work.views, length))
        runs: dict[str, Process] = {}
        for name, side in ((PROJECT, project), (TORCH, torch_side))[: 1 if only else 2]:
            note(f"{name}: starting")
            found.sides[name] = Measured()
            try:
                settings = {} if name == PROJECT else settings_of_torch(python, folder)
                runs[name] = stack.enter_context(closing(Process(name, side.START, work.to_dict(), **settings)))
                found.sides[name].how = runs[name].told
            except (UserError, OSError) as error:
                exclude(found, name, error)
        meter = None
        if peak_speed is not None:
            found.peaks.append(peak_speed)
        elif current_device().is_cpu and found.operations:
            meter = peak_meter(found, stack)
        for turn in range(turns):
            note(f"turn {turn + 1} of {turns}")
            if meter is not None:
                found.peaks.append(meter.ask(config.train.precision))
            for name, process in list(runs.items()):
                try:
                    found.sides[name].turns.append(process.ask(steps))
                except UserError as error:
                    exclude(found, name, error)
                    del runs[name]
                else:
                    note(f"{name}: {three_digits(batch / found.seconds(name)[-1])} pairs a second")
    return found


def exclude(found: Comparison, name: str, error: Exception) -> None:
    """Note why a side has no figures; this project's must have some, and raises."""
    if name == PROJECT:
        raise error
    found.sides[name] = Measured(refused=cause_of(error))


def settings_of_torch(python: Path, folder: Path) -> dict[str, Any]:
    """`torch_settings`; UserError where this project's side is not on a CPU."""
    device = current_device()
    if not device.is_cpu:
        raise UserError(f"it computes on a CPU, and this project on {device.name}")
    return torch_settings(python, folder)


def peak_meter(found: Comparison, stack: ExitStack) -> Process | None:
    """The process that measures the peak; None, with the reason in `found`, where it cannot."""
    try:
        return stack.enter_context(closing(Process("matrix peak", peak.START, {})))
    except UserError as error:
        found.without_peak = cause_of(error)
        return None


def make_work(config: RunConfig, batch: int, length: int, folder: Path) -> Work:
    """The work of a step, with its inputs in a file of `folder`."""
    from ....objectives.views import group_of
    from .steps import noise

    pairs = [(*pair, group_of(*pair[:2])) for pair in config.objective.weighted_pairs()]
    work = Work(config, batch, length, pairs, str(folder / "inputs.npz"), str(folder))
    rows = noise(config, work.views, batch, length)
    write_inputs(work.inputs, [{**row.pixels, **row.tokens} for row in rows])
    return work
