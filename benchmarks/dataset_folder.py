"""The folder that the dataset's benchmark reads: the original layout and both encodings of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.dataset_content import NUM_VIEWS, make_view
from benchmarks.dataset_original import write_original
from lyra_data.dataset.writing.packed_scene import PackedScene, pack_scene
from lyra_data.dataset.writing.writer import assemble_dataset
from lyra_data.packing.encoding import Encoding
from lyra_data.views.fields import Row, row_from_view

ENCODINGS: Mapping[str, Encoding] = {
    "train": Encoding("train", "half", "half"),
    "compat": Encoding("compat", "half", "half"),
}
ORIGINAL = "original"


@dataclass(frozen=True)
class Content:
    """Sizes, noise (standard deviation at mid grey, of 255) and place of the pictures to make."""

    num_frames: int
    height: int
    width: int
    noise: float
    pictures: str | None


def prepare(folder: Path, content: Content) -> None:
    """Write all three; what is there of the same content already stays."""
    done = folder / "done.json"
    if done.exists() and json.loads(done.read_text()) == asdict(content):
        return
    assert not done.exists(), f"{folder} holds other content: {done.read_text()}"
    for name, encoding in ENCODINGS.items():
        packed: list[PackedScene] = [pack_scene(_rows(folder, content, name), encoding)]
        assemble_dataset(
            packed,
            folder / name,
            splits=None,
            scenes_per_shard=1,
            provenance={},
            encoding=encoding,
        )
    done.write_text(json.dumps(asdict(content)))


def _rows(folder: Path, content: Content, name: str) -> Iterator[Row]:
    pictures = None if content.pictures is None else Path(content.pictures)
    for number in range(NUM_VIEWS):
        view = make_view(
            number, content.num_frames, content.height, content.width, content.noise, pictures
        )
        if name == next(iter(ENCODINGS)):
            write_original(view, folder / ORIGINAL)
        yield row_from_view(view)
        print(f"made view {number} of {name}", flush=True)
