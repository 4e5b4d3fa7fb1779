"""A dataset opens without lyra-data: with datasets, pandas and plain pyarrow."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest

from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.packing.encoding import Encoding
from tests.factories import make_view
from tests.goldens import REPOSITORY

VIEWS = [make_view(scene, index, seed=ord(scene)) for scene in "ab" for index in range(2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("elsewhere") / "dataset"
    write_dataset(
        VIEWS,
        target,
        splits={"a": "train", "b": "validation"},
        scenes_per_shard=1,
        provenance={},
        encoding=Encoding("lossless", "half", "half"),
    )
    return target


def test_every_config_loads_with_datasets_streaming_or_not(folder: Path, tmp_path: Path) -> None:
    code = f"""
from datasets import Image, Video, load_dataset
folder, cache = {str(folder)!r}, {str(tmp_path)!r}
assert "preview" == load_dataset(folder, cache_dir=cache)["train"].info.config_name
for config in {MODALITIES!r}:
    whole = load_dataset(folder, config, cache_dir=cache)
    assert {{name: len(rows) for name, rows in whole.items()}} == {{"train": 2, "validation": 2}}
    streamed = load_dataset(folder, config, split="validation", streaming=True)
    assert [row["scene_id"] for row in streamed] == ["b", "b"]
    features = whole["train"].features
    assert isinstance(features.get("video", Video()), Video)
    assert isinstance(features.get("thumbnail", Image()), Image)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=300)


def test_pandas_reads_the_metadata_and_no_blob(folder: Path) -> None:
    columns = ["scene_id", "view_index", "trajectory", "known_fraction"]
    table = pandas.read_parquet(folder / "data" / "preview", columns=columns)
    assert sorted(table["scene_id"]) == ["a", "a", "b", "b"]
    assert table["known_fraction"].between(0.8, 1).all()


def test_blobs_open_with_plain_pyarrow(folder: Path) -> None:
    row = pq.read_table(folder / "data" / "latent" / "train-00000-of-00001.parquet").to_pylist()[1]
    latents = np.frombuffer(row["latent"][:-1], "<f2").reshape(row["latent_shape"])
    assert np.array_equal(latents, VIEWS[1].latents.half().numpy())
    row = pq.read_table(folder / "data" / "rgb" / "train-00000-of-00001.parquet").to_pylist()[1]
    with av.open(io.BytesIO(row["video"]["bytes"])) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.array_equal(np.stack(frames).transpose(0, 3, 1, 2), VIEWS[1].frames.numpy())


def test_the_examples_of_the_guide_run(folder: Path, tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "dataset.md").read_text()
    examples = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 4
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "dataset").symlink_to(folder)
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(REPOSITORY),
    }
    code = "".join(f"exec({example!r}, {{'__name__': '__main__'}})\n" for example in examples)
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment, timeout=300
    )
