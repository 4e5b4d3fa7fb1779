"""What is wrong with a source is told by its file, before anything is written."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_data.dataset.convert.lyra_source import LyraSource
from lyra_data.dataset.reading.dataset_files import DatasetFiles
from lyra_data.engine.errors import InputError
from tests.conversions import convert
from tests.lyra_layout import tar_of, write_clip, write_zip


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clip") / "source"
    write_clip(folder, 0)
    return folder


@pytest.fixture
def source(clip, tmp_path) -> Path:
    return Path(shutil.copytree(clip, tmp_path / "source"))


def refused(source: Path, *words: str) -> None:
    output = source.parent / "out"
    with pytest.raises(InputError) as caught:
        convert(source, output)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert caught.value.fix and not output.exists()


class Trap:
    """Unpickled without care, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_code_in_a_latent_file_never_runs(source, tmp_path) -> None:
    torch.save(Trap(tmp_path / "trapped"), source / "0/latent/scene.pkl")
    refused(source, "not a file of latents", "0/latent/scene.pkl")
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("part", ["pose", "intrinsics", "latent"])
def test_a_missing_part_is_named(source, part) -> None:
    shutil.rmtree(source / "0" / part)
    refused(source, f"no {part}", "0/rgb/scene.mp4")


@pytest.mark.parametrize(
    "part", ["rgb/scene.mp4", "pose/scene.npz", "depth/scene.zip", "latent/scene.pkl"]
)
def test_a_cut_part_is_named_by_the_tar_it_lies_in(source, part) -> None:
    path = source / "0" / part
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    (source.parent / "tars").mkdir()
    tar_of(source, source.parent / "tars" / "00001.tar")
    refused(source.parent / "tars", "00001.tar: 0/" + part)


def poses(change):
    def damage(source: Path) -> None:
        with np.load(source / "0/pose/scene.npz") as arrays:
            data, inds = change(arrays["data"], arrays["inds"])
        np.savez(source / "0/pose/scene.npz", data=data, inds=inds)

    return damage


def latents(values) -> object:
    return lambda source: torch.save(values, source / "0/latent/scene.pkl")


def depth(maps: np.ndarray):
    return lambda source: write_zip(source / "0/depth/scene.zip", maps)


DAMAGE = {
    "poses of too few frames": (poses(lambda d, i: (d[:-1], i[:-1])), "pose/scene.npz"),
    "poses not in order": (poses(lambda d, i: (d, i[::-1])), "not in their order"),
    "poses of another shape": (poses(lambda d, i: (d[:, :3], i)), "shape [3, 4]"),
    "a pose that is no number": (poses(lambda d, i: (d * np.nan, i)), "not finite"),
    "latents without a batch": (latents(np.zeros((16, 3, 12, 16), "f4")), "have shape"),
    "latents that are no numbers": (latents(np.full((1, 16, 3, 2, 2), np.nan, "f4")), "finite"),
    "latents beyond halves": (latents(np.full((1, 16, 3, 2, 2), 1e6, "f4")), "half floats"),
    "depth of too few frames": (depth(np.ones((9, 96, 128), "f2")), "00009.exr"),
    "depth of another size": (depth(np.ones((17, 48, 128), "f2")), "128x48"),
    "depth in single floats": (depth(np.ones((17, 96, 128), "f4")), "float32"),
}


@pytest.mark.parametrize("kind", list(DAMAGE))
def test_parts_that_do_not_fit_are_refused(source, kind) -> None:
    damage, words = DAMAGE[kind]
    damage(source)
    refused(source, words)


def test_a_broken_clip_is_left_out_on_demand_and_recorded(source) -> None:
    write_clip(source, 1, depth=False)
    (source / "0/rgb/scene.mp4").write_bytes(b"no video")
    _, told = convert(source, source.parent / "out", skip_broken=True)
    assert told.poses == {"unknown": 1}
    (dropped,) = DatasetFiles.open(source.parent / "out").manifest.dropped
    assert (dropped.scene_id, dropped.view_index, dropped.trajectory) == ("scene", 0, "left")
    assert "scene.mp4" in dropped.reasons[0]


def test_a_source_of_which_nothing_can_be_read_is_refused(source) -> None:
    (source / "0/rgb/scene.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match="no clip could be read"):
        convert(source, source.parent / "out", skip_broken=True)
    assert not (source.parent / "out").exists()


def tar_with(folder: Path, **changes) -> Path:
    """A tar with one member that is changed."""
    folder.mkdir()
    with tarfile.open(folder / "odd.tar", "w") as archive:
        info = tarfile.TarInfo("0/rgb/scene.mp4")
        info.size = 3
        for name, value in changes.items():
            setattr(info, name, value)
        archive.addfile(info, io.BytesIO(b"abc") if info.isreg() else None)
    return folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "../0/rgb/scene.mp4"}, "outside"),
        ({"name": "/etc/0/rgb/scene.mp4"}, "outside"),
        ({"name": "a/../../0/rgb/scene.mp4"}, "outside"),
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}, "a symbolic link"),
        ({"type": tarfile.LNKTYPE, "linkname": "x", "size": 0}, "a hard link"),
        ({"type": tarfile.CHRTYPE, "size": 0}, "a device"),
        ({"type": tarfile.BLKTYPE, "size": 0}, "a device"),
        ({"type": tarfile.FIFOTYPE, "size": 0}, "a pipe"),
    ],
)
def test_odd_members_of_a_tar_are_refused(tmp_path, changes, words) -> None:
    refused(tar_with(tmp_path / "tars", **changes), words, "odd.tar")


def test_a_cut_or_compressed_tar_is_refused(source) -> None:
    folder = source.parent / "tars"
    folder.mkdir()
    data = tar_of(source, folder / "1.tar").read_bytes()
    (folder / "1.tar").write_bytes(data[: len(data) // 2])
    refused(folder, "1.tar")
    with tarfile.open(folder / "1.tar", "w:gz") as archive:
        archive.add(source, "x")
    refused(folder, "uncompressed")


def test_a_clip_that_is_there_twice_is_refused(source) -> None:
    tar_of(source, source / "00001.tar")
    refused(source, "twice", "0/scene")


def test_what_is_no_such_source_is_refused(tmp_path) -> None:
    (tmp_path / "12/rgb").mkdir(parents=True)
    refused(tmp_path / "nowhere", "no such file or folder")
    refused(tmp_path / "12", "neither a clip of Lyra's")
    (tmp_path / "12/rgb/scene.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="folder 12"):
        LyraSource(tmp_path)
