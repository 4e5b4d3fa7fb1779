"""Train one phase step by step, resumable to the bit after any kill."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lyra_data.engine.progress import Progress
from lyra_model.batches.read_ahead import ReadAhead
from lyra_model.batches.step_reader import StepData, StepReader
from lyra_model.decoder import DecoderParams
from lyra_model.phases.checkpoints import Checkpoint
from lyra_model.phases.memory_advice import memory_advice
from lyra_model.phases.phase_params import PhaseParams
from lyra_model.training.decoder_update import DecoderUpdate, NotFiniteError
from lyra_model.training.divergence import diverged
from lyra_model.training.log import in_words
from lyra_model.training.phase_files import PhaseFiles
from lyra_model.training.processes import Processes
from lyra_model.training.sharding import (
    load_optimiser,
    load_weights,
    whole_optimiser,
    whole_weights,
)
from lyra_model.training.states import TrainingState
from lyra_model.training.validation import Validator

if TYPE_CHECKING:
    from lyra_model.training.visualiser import Visualiser

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhaseSettings:
    """A phase, with the decoder it trains and its record.

    Attributes:
        record: all that its weights depend on, as the checkpoint states it.
    """

    name: str
    phase: PhaseParams
    decoder: DecoderParams
    record: Mapping[str, Any]


class PhaseTrainer:
    """Takes the steps of one phase; `create_phase_trainer` builds its parts.

    Args:
        steps: gives the data of every step, read ahead.
        reader: makes batches of them.
        update: changes the weights.
        files: where states and the log are kept.
        validator: scores scenes that are never trained on; None: there are none.
        visualiser: draws scenes; None: nothing is drawn.
        processes: those that train together.
    """

    def __init__(
        self,
        settings: PhaseSettings,
        *,
        steps: ReadAhead[StepData],
        reader: StepReader,
        update: DecoderUpdate,
        files: PhaseFiles,
        validator: Validator | None,
        visualiser: Visualiser | None,
        processes: Processes,
    ) -> None:
        self.settings, self.steps, self.reader, self.update = settings, steps, reader, update
        self.files, self.processes = files, processes
        self.validator, self.visualiser = validator, visualiser
        self.history: list[dict[str, float]] = []

    @property
    def name(self) -> str:
        """Return the name of the phase."""
        return self.settings.name

    def run(self, progress: Progress) -> Checkpoint:
        """Train to the last step, from the newest state in scratch if there is one."""
        try:
            self._take_steps(self._resume(), progress)
        finally:
            self.steps.close()
        weights = whole_weights(self.update.decoder)
        return Checkpoint(weights, dict(self.settings.record), self.history)

    def step(self, step: int) -> dict[str, Any]:
        """Draw a scene and target frames, decode, compare, and take one optimiser step.

        Returns:
            The step's line of the log, without times.

        Raises:
            ParamsError: a loss, a gradient or a Gaussian is no finite number. The weights stay as
                they were before the step.
        """
        data = self.steps.take(step)
        draw = data.draw
        try:
            result = self.update.take(self.reader.batch(data), step)
        except NotFiniteError as error:
            raise diverged(
                error.quantity,
                phase=self.name,
                step=step,
                draw=draw,
                folder=self.files.folder,
                log=self.files.log,
            ) from None
        rate = result.learning_rate
        self.history.append({"step": step + 1.0, **result.terms, "learning_rate": rate})
        return {
            "step": step + 1,
            **result.terms,
            "gradient_norm": result.gradient_norm,
            "learning_rate": rate,
            "scene_id": draw.scene_id,
            "num_views": len(draw.read),
            "num_target_frames": len(draw.frames),
        }

    def _take_steps(self, first: int, progress: Progress) -> None:
        """Take all steps from the first on, and log them."""
        self.processes.wait()  # all have read the state before the first is written
        training_log, trackers = self.files.log, None
        if self.processes.is_main:
            training_log.go_on_after(first)
            trackers = self.files.start_trackers(self.name, first=first)
        num_steps = self.settings.phase.steps
        log.info("phase %s is logged in %s", self.name, training_log.path)
        progress.start(f"Training {self.name}", num_steps, "steps")
        progress.advance(first)
        try:
            for step in range(first, num_steps):
                with self._memory_advice(f"step {step + 1}"):
                    rows = self._step_and_validate(step)
                if trackers is not None:
                    for row in rows:
                        training_log.append(row)
                        trackers.append(row)
                progress.advance(note=in_words(rows[0]))
                if (step + 1) % self.files.upkeep.checkpoint_steps == 0:
                    self._keep_state(step + 1)
        finally:
            if trackers is not None:
                trackers.finish()
        progress.finish()

    def _step_and_validate(self, step: int) -> list[dict[str, Any]]:
        """Take one step and, if it is due, validate; return their lines of the log."""
        started, waited = time.monotonic(), self.steps.seconds_waited
        row = self.step(step)
        seconds = time.monotonic() - started
        row |= {"seconds": seconds, "frames_per_second": row["num_target_frames"] / seconds}
        row["seconds_waited"] = self.steps.seconds_waited - waited  # for data
        rows = [{"event": "step", **row}]
        if self._is_looked_at(step + 1):
            if self.validator is not None:
                scores = self.validator.validate(self.update.decoder)
                rows.append({"event": "validation", "step": step + 1, **scores})
            self._visualise(step + 1)
        return rows

    def _is_looked_at(self, step: int) -> bool:
        """Return whether this process validates and draws: at intervals and at the end."""
        steps = self.files.upkeep.validation_steps
        is_due = step % max(steps, 1) == 0 or step == self.settings.phase.steps
        # Split weights are put together by all processes at once.
        return is_due and (self.processes.is_main or self.processes.shards)

    def _visualise(self, step: int) -> None:
        """Draw scenes, and let go of what was drawn of them long before."""
        if self.visualiser is None:
            return
        pictures, writes = self.files.pictures, self.processes.is_main
        self.visualiser.draw(self.update.decoder, pictures.of(step), step=step, writes=writes)
        if writes:
            pictures.drop_old_gaussians()

    def _memory_advice(self, doing: str) -> AbstractContextManager[None]:
        settings, device = self.settings, self.processes.device
        return memory_advice(
            settings.name, settings.phase, settings.decoder, device=device, doing=doing
        )

    def _resume(self) -> int:
        """Load the newest state; return the number of steps that it was kept after."""
        state = self.files.states.newest()
        if state is None:
            return 0
        load_weights(self.update.decoder, state.decoder)
        load_optimiser(self.update.optimiser, state.optimiser)
        self.history = state.history
        log.info("phase %s goes on after step %d", self.name, state.step)
        return state.step

    def _keep_state(self, step: int) -> None:
        if not (self.processes.is_main or self.processes.shards):
            return
        decoder = whole_weights(self.update.decoder)
        optimiser = whole_optimiser(self.update.optimiser)
        if self.processes.is_main:
            self.files.states.keep(TrainingState(step, decoder, optimiser, self.history))
