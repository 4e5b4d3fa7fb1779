"""Addresses inside a dataset: DATASET#SCENE and DATASET#SCENE:VIEW."""

from __future__ import annotations

from dataclasses import dataclass

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.reading.scene_reader import SceneReader
from lyra_data.engine.errors import InputError

EXAMPLE = "outputs/dataset#SCENE:0 or outputs/dataset#SCENE:left"


@dataclass(frozen=True)
class DatasetAddress:
    """A scene or a view in a dataset, as it is written.

    Attributes:
        dataset: a folder or a URI.
        scene: its id; None: the only one.
        view: its index, or the name of its camera path; None: the only one.
    """

    dataset: str
    scene: str | None
    view: str | None

    @staticmethod
    def parse(text: str) -> DatasetAddress:
        """Take an address apart at its last "#", and what follows it at ":"."""
        dataset, _, rest = text.rpartition("#") if "#" in text else (text, "", "")
        scene, _, view = rest.partition(":")
        return DatasetAddress(dataset, scene or None, view or None)

    def open_scene(self) -> SceneReader:
        """Open the dataset, and return the reader of the scene.

        Raises:
            InputError: there is no such dataset or scene, or none is named and there are several.
        """
        dataset = SceneDataset(self.dataset)
        if self.scene is not None:
            return dataset[self.scene]
        if len(dataset) != 1:
            names = ", ".join(dataset.scene_ids[:10]) + ", ..." * (len(dataset) > 10)
            raise InputError(
                "no scene of this dataset is named, and it does not have just one",
                where=self.dataset,
                fix=f"name one, as in {EXAMPLE}; scenes: {names}",
            )
        return dataset[0]

    def view_index(self, scene: SceneReader) -> int:
        """Return the index of the view in its scene.

        Raises:
            InputError: there is no such view, or several fit.
        """
        rows = scene.read_fields(["view_index", "trajectory", "motion_reversed"])
        fitting = [row["view_index"] for row in rows if self._fits(row)]
        if len(fitting) == 1:
            return fitting[0]
        known = ", ".join(
            f"{row['view_index']} ({row['trajectory']}{' reversed' * row['motion_reversed']})"
            for row in rows
        )
        asked = "no view is named" if self.view is None else f"view {self.view!r}"
        raise InputError(
            f"{asked}, and {len(fitting) or 'none'} of its views fit{'s' * (not fitting)}",
            where=f"{self.dataset}#{scene.scene_id}",
            fix=f"name one by its index, as in {EXAMPLE}; views: {known}",
        )

    def _fits(self, row: dict) -> bool:
        return self.view is None or self.view in (str(row["view_index"]), row["trajectory"])
