"""Columns and statistics that readers get without parsing provenance or decoding anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from lyra_data.dataset.format.manifest import Manifest
from lyra_data.dataset.format.splits import SOURCE_HASHES, source_id, source_sha256
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.packing.encoding import Encoding
from lyra_data.scene.view import View
from tests.dataset_scenes import exact_view
from tests.factories import make_view

HALF = Encoding(latents="half")


def packaged(
    folder: Path, views: list[View], encoding: Encoding = HALF
) -> tuple[Manifest, dict[str, list[dict[str, Any]]]]:
    options = {"splits": None, "scenes_per_shard": 9, "provenance": {}, "encoding": encoding}
    manifest = write_dataset(views, folder, **options)
    rows = {
        modality: pq.read_table(folder / "data" / modality).to_pylist()
        for modality in ("preview", "latent")
    }
    return manifest, rows


def test_what_provenance_tells_has_columns_and_what_it_does_not_is_null(tmp_path: Path) -> None:
    told = exact_view("a")
    silent = replace(make_view("b"), provenance={"codec": "dct", "codec_fingerprint": "dct-test"})
    _, rows = packaged(tmp_path / "data", [told, silent])
    names = ("source_id", "source_sha256", "licence", "teacher", "caption", "is_dynamic")
    known, unknown = ({name: row[name] for name in names} for row in rows["preview"])
    assert known == {
        "source_id": "a" * 64,
        "source_sha256": "a" * 64,
        "licence": "CC0-1.0",
        "teacher": "exact",
        "caption": "a ball before a wall",
        "is_dynamic": True,
    }
    assert unknown == {**dict.fromkeys(names), "source_id": "b", "licence": ""}


@pytest.mark.parametrize("key", SOURCE_HASHES)
def test_a_picture_a_video_and_a_set_of_pictures_name_their_source(key: str) -> None:
    assert source_id("scene", {key: "1" * 64}) == source_sha256({key: "1" * 64}) == "1" * 64
    assert source_id("scene", {"source_depth_sha256": "1" * 64}) == "scene"


def test_statistics_are_those_of_the_views_before_encoding(tmp_path: Path) -> None:
    views = [exact_view("a"), make_view("b", height=24, num_frames=17)]
    manifest, rows = packaged(tmp_path / "data", views, Encoding("compat", "half", "half"))
    for view, preview, latent in zip(views, rows["preview"], rows["latent"], strict=True):
        colours = view.frames.double().transpose(0, 1).flatten(1)
        channels = view.latents.double().flatten(1)
        for row, name, values in ((preview, "rgb", colours), (latent, "latent", channels)):
            means, stds = (torch.tensor(row[f"{name}_{key}"]).double() for key in ("mean", "std"))
            assert torch.allclose(means, values.mean(1), atol=1e-5)
            assert torch.allclose(stds, values.std(1, correction=0), atol=1e-5)
    every = torch.cat([view.frames.double().transpose(0, 1).flatten(1) for view in views], 1)
    for channel, values in zip(manifest.rgb_channels, every, strict=True):
        assert channel.mean == pytest.approx(float(values.mean()))
        assert channel.std == pytest.approx(float(values.std(correction=0)))
