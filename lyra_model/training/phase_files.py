"""Name the files of a phase that trains: its states, its log and its pictures of scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lyra_model.training.log import TrainingLog
from lyra_model.training.states import StateFolder, Upkeep
from lyra_model.training.step_pictures import StepPictures
from lyra_model.training.trackers import TrackerName, Trackers


@dataclass(frozen=True)
class PhaseFiles:
    """The folder of a phase in scratch.

    Attributes:
        folder: named by all that the phase's weights depend on.
        project: name of the project, which trackers file the run under.
        upkeep: how often something is kept.
        trackers: what shows the log's figures besides.
    """

    folder: Path
    project: str
    upkeep: Upkeep
    trackers: Sequence[TrackerName] = ()

    @property
    def states(self) -> StateFolder:
        """Return the states, from which a killed run goes on."""
        return StateFolder(self.folder, self.upkeep)

    @property
    def log(self) -> TrainingLog:
        """Return the log, a line for every step and validation."""
        return TrainingLog(self.folder / "log.jsonl")

    @property
    def pictures(self) -> StepPictures:
        """Return the folders of pictures of scenes, one a step that is looked at."""
        return StepPictures(self.folder / "samples")

    def start_trackers(self, phase: str, *, first: int) -> Trackers:
        """Start what shows the log's figures.

        Args:
            first: steps done before.
        """
        return Trackers(
            self.trackers, folder=self.folder, project=self.project, phase=phase, first=first
        )
