"""Training reads a dataset elsewhere, keeps what it read, and ends with the same weights."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
import yaml

from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import silent
from stages.options import bytes_of
from stages.train import run_train
from tests.pipeline.project import tiny_params
from tests.unit.test_training import HEIGHT, WIDTH, make_dataset


@pytest.mark.parametrize(
    ("size", "num_bytes"),
    [
        (None, None),
        ("0", 0),
        ("4096", 4096),
        ("1.5kB", 1500),
        ("200GB", 200 * 10**9),
        ("200 G", 200 * 10**9),
        ("2TiB", 2 * 2**40),
    ],
)
def test_a_size_is_its_bytes(size: str | None, num_bytes: int | None) -> None:
    assert bytes_of(size) == num_bytes


@pytest.mark.parametrize("size", ["", "much", "-1", "1e9", "5 XB", "GB"])
def test_what_is_no_size_is_refused_with_an_example(size: str) -> None:
    with pytest.raises(InputError, match="no size") as caught:
        bytes_of(size)
    assert "200GB" in str(caught.value.fix) and caught.value.where == "--cache-size"


def make_project(folder: Path) -> Path:
    params = tiny_params()
    phase = params["train"]["phases"]["small"]
    phase |= {"height": HEIGHT, "width": WIDTH, "steps": 2}
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return folder / "params.yaml"


def test_a_dataset_elsewhere_trains_the_same_weights_and_is_kept_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYRA_CACHE", str(tmp_path / "nvme"))
    here = make_project(tmp_path / "here")
    make_dataset(here.parent / "outputs" / "dataset", scenes=("a", "b"))
    system = fsspec.filesystem("memory")
    for path in (here.parent / "outputs" / "dataset").rglob("*"):
        if path.is_file():
            name = path.relative_to(here.parent / "outputs" / "dataset").as_posix()
            system.pipe_file(f"/elsewhere/{name}", path.read_bytes())
    there = make_project(tmp_path / "there")
    run_train(here, phase="small", device="cpu", progress=silent)
    assert not (tmp_path / "nvme").exists()
    for number, limit in enumerate((0, 10**7)):
        run_train(
            there,
            phase="small",
            device="cpu",
            dataset="memory://elsewhere",
            cache_bytes=limit,
            progress=silent,
        )
        kept = sum(path.is_file() for path in (tmp_path / "nvme").rglob("*-*"))
        assert (kept > 0) == (number == 1)
        weights = "outputs/models/small/model.safetensors"
        assert (there.parent / weights).read_bytes() == (here.parent / weights).read_bytes()
    system.store.clear()
