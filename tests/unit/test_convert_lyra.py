"""Lyra's layout becomes a dataset and that layout again, and nothing is lost on the way."""

from __future__ import annotations

import dataclasses
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lyra_data.dataset.convert import from_lyra
from lyra_data.dataset.convert.latent_array import NORMALISED, read_latents, write_latents
from lyra_data.dataset.format.manifest import Codec
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError
from lyra_data.models.gen3c.latent_files import CODEC_RECORD, read_latent_file
from lyra_data.packing.encoding import Encoding
from tests.conversions import convert, write_back
from tests.factories import make_view
from tests.lyra_layout import (
    HEIGHT,
    WIDTH,
    latents_of,
    loader_latents,
    mp4_of,
    read_loader_way,
    tar_of,
    write_clip,
    write_zip,
)

BROKEN = (7, 9, 10, 11)
CORRECT = (6, 8)


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """A still and a moving scene; some reversed clips have poses that run backwards."""
    folder = tmp_path_factory.mktemp("lyra") / "source"
    for index in range(6):
        write_clip(folder / "static", index, "a still one")
    for index in range(12):
        write_clip(folder / "dynamic", index, "moving", broken=index in BROKEN)
    return folder


@pytest.fixture(scope="session")
def dataset(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lyra") / "dataset"
    convert(source, folder)
    return folder


@pytest.fixture(scope="session")
def written(dataset, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("lyra") / "back"
    told = write_back(dataset, folder)
    assert (told.num_views, told.kept_videos, told.remarks) == (18, 18, [])
    return folder


@pytest.mark.parametrize("clip", ["static/2/a still one", "dynamic/4/moving", "dynamic/6/moving",
                                  "dynamic/9/moving"])  # fmt: skip
def test_what_lyras_loader_reads_is_the_same_to_the_bit(source, written, clip) -> None:
    root, index, name = clip.split("/")
    before = read_loader_way(source / root, int(index), name)
    after = read_loader_way(written / root, int(index), name)
    for part in ("pose", "inds", "intrinsics", "latent", "depth", "frames"):
        assert before[part].dtype == after[part].dtype, part
        assert before[part].tobytes() == after[part].tobytes(), part
    video = f"{root}/{index}/rgb/{name}.mp4"
    assert (source / video).read_bytes() == (written / video).read_bytes()


def test_nothing_but_folders_of_cameras_stands_where_lyras_loader_counts_them(written) -> None:
    assert sorted(path.name for path in written.iterdir()) == ["dynamic", "static"]
    assert sorted(int(path.name) for path in (written / "dynamic").iterdir()) == list(range(12))
    assert sorted(int(path.name) for path in (written / "static").iterdir()) == list(range(6))


def poses_of(dataset: Path, scene: str = "dynamic-moving") -> dict[int, str]:
    views = SceneDataset(dataset).read_fields(scene, ["view_index", "provenance"])
    return {view["view_index"]: view["provenance"]["lyra_poses"] for view in views}


def test_a_broken_clip_is_flagged_and_a_correct_one_is_not(dataset) -> None:
    found = poses_of(dataset)
    assert [index for index, poses in found.items() if poses == "backwards"] == list(BROKEN)
    assert {found[index] for index in (*range(6), *CORRECT)} == {"agree"}
    assert SceneDataset(dataset).manifest.provenance["views_with_flipped_poses"] == "4"


def test_a_repaired_clip_is_no_longer_flagged(source, tmp_path) -> None:
    for index in (6, 7, 9):
        shutil.copytree(source / "dynamic" / str(index), tmp_path / "some" / str(index))
    _, told = convert(tmp_path / "some", tmp_path / "repaired", repair=True)
    assert told.poses == {"agree": 1, "repaired": 2} and told.flagged == []
    write_back(tmp_path / "repaired", tmp_path / "back")
    _, again = convert(tmp_path / "back", tmp_path / "again")
    assert again.poses == {"agree": 3}
    for index in (6, 7, 9):
        before = read_loader_way(source / "dynamic", index, "moving")["pose"]
        after = read_loader_way(tmp_path / "back" / "dynamic", index, "moving")["pose"]
        assert np.array_equal(after, before[::-1] if index in BROKEN else before)


def test_poses_of_a_forward_clip_are_flagged_and_never_turned_around(tmp_path) -> None:
    write_clip(tmp_path / "source", 1)
    pose = tmp_path / "source/1/pose/scene.npz"
    with np.load(pose) as arrays:
        data, inds = arrays["data"], arrays["inds"]
    np.savez(pose, data=data[::-1], inds=inds)
    _, told = convert(tmp_path / "source", tmp_path / "out", repair=True)
    assert told.poses == {"backwards": 1} and told.flagged == ["scene/1"]


def test_frames_of_reversed_motion_stand_in_the_order_of_their_latents(source, dataset) -> None:
    """As our own: frame f shows moment T-1-f, and frame 0 is what latent frame 0 is of."""
    (view,) = (v for v in SceneDataset(dataset).scene("dynamic-moving") if v.view_index == 6)
    stored = read_loader_way(source / "dynamic", 6, "moving")
    assert view.motion_reversed and view.trajectory == "left"
    assert np.array_equal(view.frames.permute(0, 2, 3, 1).numpy(), stored["frames"][::-1])
    known = np.isfinite(stored["depth"][::-1]) & (stored["depth"][::-1] > 0)
    assert np.array_equal(view.depth_valid.numpy(), known)
    assert np.array_equal(view.depth.numpy()[known], stored["depth"][::-1][known].astype("f4"))
    assert np.array_equal(view.latents.numpy(), latents_of(6)[0])
    assert view.provenance["codec"] == NORMALISED.name


def test_single_frames_of_a_converted_clip_are_read(dataset) -> None:
    data = SceneDataset(dataset)
    whole = data["dynamic-moving"].read_view(7)
    for wanted in ([0], [16], [5, 3, 5]):
        part = data["dynamic-moving"].read_view(7, wanted)
        assert torch.equal(part.frames, whole.frames[wanted])
        assert torch.equal(part.depth, whole.depth[wanted])


def test_a_tar_gives_the_same_dataset_as_the_folder(tmp_path) -> None:
    for index in (3, 7):
        write_clip(tmp_path / "folder/dynamic", index)
    (tmp_path / "tars/dynamic").mkdir(parents=True)
    for part in (3, 7):  # the clips of a scene may lie in several
        whole, alone = tmp_path / "folder/dynamic" / str(part), tmp_path / str(part)
        shutil.copytree(whole, alone / str(part))
        tar_of(alone, tmp_path / "tars/dynamic" / f"0000{part}.tar")
    from_folder, _ = convert(tmp_path / "folder", tmp_path / "one")
    from_tars, _ = convert(tmp_path / "tars", tmp_path / "other")
    assert from_folder.dataset_hash == from_tars.dataset_hash


def test_latents_that_halves_cannot_hold_are_flagged_and_kept_on_demand(tmp_path) -> None:
    write_clip(tmp_path / "source", 0, depth=False)
    fine = np.linspace(-1, 1, 16 * 3 * 12 * 16, dtype=np.float32).reshape(1, 16, 3, 12, 16)
    torch.save(fine, tmp_path / "source/0/latent/scene.pkl")
    _, told = convert(tmp_path / "source", tmp_path / "half")
    assert told.inexact_latents == 1 and exact_flags(tmp_path / "half") == [False]
    _, told = convert(tmp_path / "source", tmp_path / "whole", latents="lossless")
    assert told.inexact_latents == 0 and exact_flags(tmp_path / "whole") == [True]
    write_back(tmp_path / "whole", tmp_path / "back")
    assert np.array_equal(read_loader_way(tmp_path / "back/static", 0)["latent"], fine)


def exact_flags(dataset: Path) -> list[bool]:
    import pyarrow.parquet as pq

    table = pq.read_table(dataset / "data" / "latent", columns=["latent_source_exact"])
    return table["latent_source_exact"].to_pylist()


def test_half_latents_stay_halves(dataset, tmp_path) -> None:
    assert set(exact_flags(dataset)) == {True}
    write_clip(tmp_path / "source", 0, depth=False)
    halves = latents_of(0).astype(np.float16)
    torch.save(halves, tmp_path / "source/0/latent/scene.pkl")
    convert(tmp_path / "source", tmp_path / "out")
    write_back(tmp_path / "out", tmp_path / "back")
    found = read_loader_way(tmp_path / "back/static", 0)["latent"]
    assert found.dtype == np.float16 and np.array_equal(found, halves)


def test_every_way_to_say_unknown_comes_back(tmp_path) -> None:
    write_clip(tmp_path / "source", 6)
    path = tmp_path / "source/6/depth/scene.zip"
    maps = read_loader_way(tmp_path / "source", 6)["depth"]
    bits = maps.view(np.uint16)
    bits[:, 7, ::5], bits[2:, 8, ::3], bits[3, 9] = 0x7E01, 0x8000, 0xFC00  # NaN, -0, -inf
    write_zip(path, maps)
    convert(tmp_path / "source", tmp_path / "out")
    view = SceneDataset(tmp_path / "out").scene(0)[0]
    assert torch.isfinite(view.depth).all() and (view.depth >= 0).all()
    assert torch.equal(view.depth > 0, view.depth_valid)
    write_back(tmp_path / "out", tmp_path / "back")
    found = read_loader_way(tmp_path / "back/dynamic", 6)["depth"]
    assert found.tobytes() == maps.tobytes()


def test_a_clip_without_depth_has_none_afterwards(tmp_path) -> None:
    write_clip(tmp_path / "source", 6, depth=False, broken=True)
    _, told = convert(tmp_path / "source", tmp_path / "out", repair=True)
    assert told.without_depth == 1 and told.poses == {"unknown": 1}
    assert not SceneDataset(tmp_path / "out").scene(0)[0].depth_valid.any()
    write_back(tmp_path / "out", tmp_path / "back")
    assert not (tmp_path / "back/dynamic/6/depth").exists()


def test_a_killed_conversion_goes_on_with_the_scene_it_was_at(tmp_path, monkeypatch) -> None:
    for name in ("a", "b", "c"):
        write_clip(tmp_path / "source", 0, name, depth=False)
    made, real = [], from_lyra.encode_clip

    def stops_at_c(files, scene_id, *others):
        made.append(scene_id)
        if made == ["a", "b", "c"]:
            raise KeyboardInterrupt
        return real(files, scene_id, *others)

    monkeypatch.setattr(from_lyra, "encode_clip", stops_at_c)
    with pytest.raises(KeyboardInterrupt):
        convert(tmp_path / "source", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    manifest, told = convert(tmp_path / "source", tmp_path / "out")
    assert made == ["a", "b", "c", "c"]
    assert [scene.scene_id for scene in manifest.scenes] == ["a", "b", "c"]
    assert told.poses == {"unknown": 3} and not (tmp_path / ".work").exists()


def own_views() -> list:
    forward = make_view("scene", 0, trajectory="left")
    backward = dataclasses.replace(make_view("scene", 1, trajectory="left"), motion_reversed=True)
    return [forward, backward, make_view("scene", 2, trajectory="down")]


@pytest.mark.parametrize("rgb", ["lossless", "compat", "train"])
def test_our_own_views_are_written_as_lyras_loader_reads_them(tmp_path, rgb) -> None:
    forward, backward, _ = own_views()
    encoding = Encoding(rgb=rgb)
    write_dataset(own_views(), tmp_path / "data", splits=None, scenes_per_shard=2, provenance={},
                  encoding=encoding)  # fmt: skip
    told = write_back(tmp_path / "data", tmp_path / "back")
    assert told.num_views == 2 and told.left_out == ["scene scene, view 2: down"]
    assert told.kept_videos == (0 if rgb == "train" else 1)
    assert told.rounded_depth == 2
    assert any("is not complete" in remark for remark in told.remarks)
    assert any("is_generated_cosmos_latent" in remark for remark in told.remarks)
    for index, view in ((0, forward), (6, backward)):
        found = read_loader_way(tmp_path / "back/dynamic", index)
        order = slice(None, None, -1) if view.motion_reversed else slice(None)
        assert np.array_equal(found["pose"], view.cameras.camera_to_world.numpy()[order])
        assert np.array_equal(found["intrinsics"], view.cameras.intrinsics.numpy()[order])
        assert np.array_equal(found["depth"], view.depth.numpy()[order].astype(np.float16))
        in_loader = loader_latents(found["latent"], is_generated_cosmos_latent=False)
        assert np.array_equal(in_loader, view.latents.numpy().swapaxes(0, 1))
        stored = SceneDataset(tmp_path / "data").scene(0)[view.view_index].frames
        frames = stored.permute(0, 2, 3, 1).numpy()[order]
        error = np.abs(found["frames"].astype(int) - frames).mean()
        assert error == 0 if rgb == "lossless" else error < 12  # noise at 16x24, 4:2:0


def test_our_own_views_come_back_from_lyras_layout(tmp_path) -> None:
    write_dataset(own_views()[:2], tmp_path / "data", splits=None, scenes_per_shard=2,
                  provenance={}, encoding=Encoding(depth="half"))  # fmt: skip
    write_back(tmp_path / "data", tmp_path / "back")
    convert(tmp_path / "back", tmp_path / "again", latents="lossless")
    for before, after in zip(
        SceneDataset(tmp_path / "data").scene(0), SceneDataset(tmp_path / "again").scene(0),
        strict=True,
    ):  # fmt: skip
        assert before.motion_reversed == after.motion_reversed
        assert torch.equal(before.frames, after.frames)
        assert torch.equal(before.latents, after.latents)
        assert torch.equal(before.depth, after.depth)
        assert torch.equal(before.cameras.camera_to_world, after.cameras.camera_to_world)
        for key in ("codec", "codec_fingerprint"):
            assert before.provenance[key] == after.provenance[key] != NORMALISED.name
    assert SceneDataset(tmp_path / "again").codec == SceneDataset(tmp_path / "data").codec
    write_back(tmp_path / "again", tmp_path / "twice")
    for index in (0, 6):
        one, other = (
            read_loader_way(tmp_path / name / "dynamic", index)["latent"]
            for name in ("back", "twice")
        )
        assert one.shape[1] == 2 and np.array_equal(one, other)


def test_normalised_latents_are_written_as_lyras_loader_transposes_them(source, written) -> None:
    saved = read_loader_way(written / "static", 2, "a still one")["latent"]
    before = latents_of(2)
    in_loader = loader_latents(saved, is_generated_cosmos_latent=True)
    assert np.array_equal(in_loader, before[0].swapaxes(0, 1))


def test_files_that_say_nothing_are_read_by_their_shape_and_their_neighbours(tmp_path) -> None:
    path = tmp_path / "latents.pkl"
    draws = np.random.default_rng(0)
    drift = draws.standard_normal((16, 1, 8, 8)) + 0.3 * draws.standard_normal((16, 16, 8, 8))
    whole = drift.astype(np.float32)  # channel time h w; neighbours in time are alike
    torch.save(whole[None], path)
    assert np.array_equal(read_latents(path, 121).values, whole)
    torch.save(whole.swapaxes(0, 1)[None], path)
    with pytest.raises(InputError, match="time before channels"):
        read_latents(path, 121)
    torch.save(whole[:, :3].swapaxes(0, 1)[None], path)
    with pytest.raises(InputError, match="time before channels"):
        read_latents(path, 17)
    torch.save(whole[None], path)
    with pytest.raises(InputError, match="16 latent frames for a video of 17"):
        read_latents(path, 17)


def test_as_many_channels_as_latent_frames_are_not_exchanged(tmp_path) -> None:
    values = np.random.default_rng(0).standard_normal((16, 16, 4, 4)).astype(np.float32)
    codec = Codec("dct", "its own")
    write_latents(values, "float32", codec, tmp_path / "own.pkl")
    read = read_latents(tmp_path / "own.pkl", 121)
    assert np.array_equal(read.values, values) and read.codec == codec
    loaded = torch.load(tmp_path / "own.pkl", weights_only=False)  # our own file
    assert np.array_equal(loaded[0], values.swapaxes(0, 1))
    with pytest.raises(InputError, match="latents of codec 'dct'"):
        read_latent_file(tmp_path / "own.pkl")


@pytest.mark.parametrize("text", ["{}", "[]", "nonsense", '{"codec": "a", "codec_fingerprint": 3}'])
def test_a_damaged_record_of_the_codec_is_refused(tmp_path, text) -> None:
    path = tmp_path / "latents.pkl"
    torch.save(np.zeros((1, 16, 3, 2, 2), np.float32), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"latents/{CODEC_RECORD}", text)
    with pytest.raises(InputError, match="cannot be read"):
        read_latents(path, 17)


@pytest.mark.parametrize("num_frames", [2, 8, 16, 18])
def test_a_clip_whose_frames_do_not_fill_latents_is_refused(tmp_path, num_frames) -> None:
    write_clip(tmp_path / "source", 0, depth=False)
    frames = np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    (tmp_path / "source/0/rgb/scene.mp4").write_bytes(mp4_of(frames))
    with pytest.raises(InputError, match=f"has {num_frames} frames; latents stand for 8k"):
        convert(tmp_path / "source", tmp_path / "out")


def test_a_folder_is_visited_once_whatever_links_lead_to_it(tmp_path) -> None:
    write_clip(tmp_path / "source/whole", 0, depth=False)
    (tmp_path / "source/whole/self").symlink_to(".")
    (tmp_path / "source/whole/up").symlink_to("..")
    (tmp_path / "source/again").symlink_to("whole")
    (tmp_path / "outside").symlink_to("source")
    manifest, _ = convert(tmp_path / "outside", tmp_path / "out")
    assert [scene.scene_id for scene in manifest.scenes] == ["whole-scene"]


def test_folders_that_are_links_alone_are_read(tmp_path) -> None:
    write_clip(tmp_path / "store", 0, depth=False)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/0").symlink_to(tmp_path / "store/0")
    manifest, _ = convert(tmp_path / "source", tmp_path / "out")
    assert [scene.scene_id for scene in manifest.scenes] == ["scene"]


def test_scenes_whose_joined_names_are_one_stay_two(tmp_path) -> None:
    for root, name in (("a-b", "c"), ("a/b", "c"), ("a", "d")):
        write_clip(tmp_path / "source" / root, 0, name, depth=False)
    manifest, _ = convert(tmp_path / "source", tmp_path / "out")
    names = [scene.scene_id for scene in manifest.scenes]
    assert len(set(names)) == 3 and "a-d" in names
    assert sorted(name[:6] for name in names) == ["a-b-c-", "a-b-c-", "a-d"]


def test_a_dataset_without_lyras_paths_is_refused(tmp_path) -> None:
    write_dataset(own_views()[2:], tmp_path / "data", splits=None, scenes_per_shard=2,
                  provenance={})  # fmt: skip
    with pytest.raises(InputError, match="none of its views"):
        write_back(tmp_path / "data", tmp_path / "back")
    assert not (tmp_path / "back").exists()
