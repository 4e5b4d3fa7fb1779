"""Workspace: where each stage of one project reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lyra_data.engine.errors import StageOrderError

STAGES = ("annotate", "generate", "package", "train", "evaluate", "reconstruct")
"""Stages in the order they run. Module, params section, dvc.yaml stage and verb share the name."""

PUBLISH = "publish"
"""The stage that sends results away. It has a dvc.yaml of its own, publish/dvc.yaml, so that
neither `dvc repro` nor `lyra-data run` publishes anything."""

SECTIONS = (*STAGES, PUBLISH)
"""Sections of params.yaml, beside seed."""


@dataclass(frozen=True)
class Workspace:
    """The folders of one project, below `root` (the folder that holds params.yaml)."""

    root: Path

    @property
    def clips(self) -> Path:
        """annotate's result: one folder per scene."""
        return self.root / "outputs" / "clips"

    @property
    def held_out(self) -> Path:
        """Real photos for evaluation. Only evaluate depends on this folder."""
        return self.root / "outputs" / "held_out"

    @property
    def views(self) -> Path:
        """generate's result: one file per view."""
        return self.root / "outputs" / "views"

    @property
    def dataset(self) -> Path:
        """package's result: Parquet shards and a manifest."""
        return self.root / "outputs" / "dataset"

    @property
    def models(self) -> Path:
        """train's results: one folder per phase."""
        return self.root / "outputs" / "models"

    @property
    def reports(self) -> Path:
        """evaluate's results."""
        return self.root / "reports"

    @property
    def training_pictures(self) -> Path:
        """train's pictures at the end of phases, one folder each. DVC does not follow them."""
        return self.reports / "training"

    @property
    def scenes(self) -> Path:
        """reconstruct's result: one folder per scene."""
        return self.root / "outputs" / "scenes"

    @property
    def receipts(self) -> Path:
        """publish's results: what was published, one file a kind."""
        return self.root / PUBLISH

    @property
    def scratch(self) -> Path:
        """Finished pieces of unfinished stages; safe to delete."""
        return self.root / ".work"

    def require(self, path: Path, *, made_by: str) -> Path:
        """`path`, or an error that names the stage to run first."""
        if not path.exists():
            raise StageOrderError(
                f"{path.relative_to(self.root)} does not exist yet",
                where=str(self.root),
                fix=f"run `lyra-data {made_by}` first, or `dvc repro` for all stages in order",
            )
        return path
