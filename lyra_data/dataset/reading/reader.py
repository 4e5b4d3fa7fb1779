"""Open a packaged dataset for reading, refusing whatever is not as it was written."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lyra_data.dataset.format.manifest import Codec, Manifest, SceneEntry
from lyra_data.dataset.reading.counts import ReadingCounts
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.dataset.reading.scene_reader import FrameNumbers, SceneReader
from lyra_data.dataset.reading.verification import check_every_byte, check_sizes_and_footers
from lyra_data.engine.errors import InputError
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.models.codecs.latent_spaces import is_of, space_of_normalised
from lyra_data.scene.view import View
from lyra_data.views.fields import Row


class SceneDataset:
    """The scenes of a packaged dataset, in the order they were written, each a `SceneReader`.

    It can be forked and pickled: nothing that is open is shared with a worker.

    Args:
        uri: the folder that `lyra-data package` wrote, or where it was copied to: http(s)://,
            s3://, hf://datasets/OWNER/NAME, or what else fsspec reads.
        revision: tag, branch or commit, where `uri` is hf://.
        split: only this split's scenes; None: all.
        modalities: those that are read, and have to be there; None: all that it has.
        cache_dir: keeps what was read from afar; nothing is kept where it is None.
        verify: "index" checks the manifest and, in a folder, every file's size and footer at once,
            and every part when it is read; "full" checks every byte at once.

    Raises:
        StageOrderError: there is no such folder.
        CorruptDataError: a file is missing, cut, altered, or of another version.
        InputError: the address cannot be read, or there is no such split or modality.
    """

    def __init__(
        self,
        uri: Path | str,
        *,
        revision: str | None = None,
        split: str | None = None,
        modalities: Sequence[str] | None = None,
        cache_dir: Path | None = None,
        verify: Literal["index", "full"] = "index",
    ) -> None:
        self.uri = str(uri)
        self.files = DatasetFiles.open(
            uri,
            revision=revision,
            modalities=modalities,
            cache_dir=cache_dir,
        )
        check_sizes_and_footers(self.files)
        if verify == "full":
            check_every_byte(self.files)
        self.scenes: list[SceneEntry] = [
            scene for scene in self.manifest.scenes if split in (None, scene.split)
        ]
        self._positions = {scene.scene_id: index for index, scene in enumerate(self.scenes)}

    def __len__(self) -> int:
        return len(self.scenes)

    def __contains__(self, scene_id: object) -> bool:
        return scene_id in self._positions

    def __getitem__(self, scene: int | str) -> SceneReader:
        """Return the reader of a scene, given by position or scene_id.

        Raises:
            IndexError: there is no such position.
            InputError: there is no such scene_id.
        """
        return SceneReader(self.files, self.entry(scene))

    @property
    def manifest(self) -> Manifest:
        return self.files.manifest

    @property
    def scene_ids(self) -> list[str]:
        return [scene.scene_id for scene in self.scenes]

    @property
    def codec(self) -> Codec:
        """Return the codec of all latents, as they are read."""
        space = self.files.latent_space
        if space is not None:
            return Codec(space.codec, space.codec_fingerprint)
        return self.manifest.codec

    def in_space_of(self, codec: LatentCodec) -> SceneDataset | None:
        """Return this dataset, its latents read as the codec's; None: they are of another space.

        Normalised latents of Lyra's data become those of codec `cosmos`, in float32. Whatever
        reads blobs as they are stored (`SceneReader.stored`) still has them as they are.

        Raises:
            ParamsError: normalised latents are stored, and the codec's weights are not there.
        """
        stored = self.manifest.codec
        if is_of(codec, stored.name, stored.fingerprint):
            return self
        space = space_of_normalised(codec, stored.name, stored.fingerprint)
        if space is None:
            return None
        dataset = copy.copy(self)
        dataset.files = copy.copy(self.files)
        dataset.files.latent_space = space
        return dataset

    @property
    def counts(self) -> ReadingCounts:
        """Return the counts of what was decoded and read so far, for benchmarks."""
        return self.files.counts

    def entry(self, scene: int | str) -> SceneEntry:
        """Return what the manifest says of a scene, given by position or scene_id; raises as []."""
        if isinstance(scene, int):
            return self.scenes[scene]
        if scene not in self._positions:
            raise InputError(
                f"there is no scene {scene!r}",
                where=self.uri,
                fix=f"scenes: {', '.join(self.scene_ids[:10])}{', ...' * (len(self) > 10)}",
            )
        return self.scenes[self._positions[scene]]

    def view_indices(self, scene: int | str) -> tuple[int, ...]:
        """Return the view_index of every view of a scene."""
        return self[scene].view_indices

    def scene(self, scene: int | str) -> list[View]:
        """Read all views of a scene whole, as `SceneReader.read_views`."""
        return self[scene].read_views()

    def read_fields(
        self,
        scene: int | str,
        names: Sequence[str],
        *,
        view_indices: Sequence[int] | None = None,
        frames: FrameNumbers = None,
        as_stored: bool = False,
    ) -> list[Row]:
        """Read some fields of some views of a scene, as `SceneReader.read_fields`."""
        return self[scene].read_fields(
            names, view_indices=view_indices, frames=frames, as_stored=as_stored
        )
