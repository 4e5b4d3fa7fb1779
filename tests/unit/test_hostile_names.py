"""Names out of foreign files never reach a folder outside: each door refuses them, exit code 2."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lyra_data.annotation.finished_scenes import STAGE as ANNOTATE
from lyra_data.annotation.finished_scenes import FinishedScenes
from lyra_data.clips.checks import check_clip_folder
from lyra_data.clips.store import read_clip, read_held_out, write_clip, write_held_out
from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.convert.lyra_source import scene_id_of
from lyra_data.dataset.convert.to_lyra import convert_to_lyra
from lyra_data.dataset.format.layout import index_path
from lyra_data.dataset.format.manifest import MANIFEST_PATH, Manifest, parse_manifest
from lyra_data.dataset.packaging.params import PackageParams
from lyra_data.dataset.packaging.runner import package_views
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.packed_scene import PackedScene, pack_scene
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError, LyraError
from lyra_data.engine.hashing import sha256_of_bytes, sha256_of_file
from lyra_data.engine.names import is_safe_name
from lyra_data.engine.progress import silent
from lyra_data.engine.scratch import ScratchStore
from lyra_data.generation.assembly import assemble
from lyra_data.generation.plan import read_clip_facts
from lyra_data.packing.encoding import Encoding
from lyra_data.scene.material import HeldOutView
from lyra_data.scene.view import View
from lyra_data.views.dropped import DroppedView, read_dropped, record_dropped
from lyra_data.views.fields import row_from_view
from lyra_data.views.store import read_columns, read_row, write_view
from lyra_model.evaluation.scene_result import RESULT_FILE, SceneResult
from stages.cli import app
from tests.factories import make_cameras, make_clip, make_frames, make_view
from tests.generation_stubs import stub_params

PRECIOUS = "what the user has made"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the user's beside everything that is read and written."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "work.txt").write_text(PRECIOUS)
    return folder


def names_of(victim: Path) -> list[str]:
    return [str(victim), "../victim", "..", "", "a/b", "a\0b", "x" * 300]


def untouched(victim: Path) -> bool:
    return [path.name for path in victim.iterdir()] == ["work.txt"] and (
        victim / "work.txt"
    ).read_text() == PRECIOUS


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def views_of(scene_id: str = "scene", **changes: Any) -> list[View]:
    return [replace(make_view(scene_id, num_frames=9), **changes)]


def dataset_of(folder: Path, views: list[View]) -> Path:
    write_dataset(views, folder, splits=None, scenes_per_shard=2, provenance={})
    return folder


def rewrite_manifest(folder: Path, change: Callable[[Manifest], Manifest]) -> Path:
    """Put another manifest in the place of a dataset's, all its hashes right."""
    path = folder / MANIFEST_PATH
    change(parse_manifest(path.read_bytes(), str(path))).write(folder)
    return folder


# clips


def test_no_clip_s_scene_id_leads_out_of_the_folder_of_scenes(victim: Path) -> None:
    clips = victim.parent / "clips"
    for number, name in enumerate(names_of(victim)):
        folder = clips / str(number)
        write_clip(replace(make_clip(), scene_id=name), folder)
        for read in (read_clip, lambda folder: read_clip_facts(folder.parent)):
            with pytest.raises(CorruptDataError) as caught:
                read(folder)
            assert "scene_id" in caught.value.what and "clip.json" in str(caught.value.where)
        (finding,) = check_clip_folder(folder).findings
        assert (finding.rule, finding.severity) == ("stored-files", "error")
        assert "scene_id" in finding.message
    assert untouched(victim)


def test_scenes_are_assembled_nowhere_but_in_their_folder(victim: Path) -> None:
    store = ScratchStore(victim.parent / "scratch", "generate_scenes")
    view = victim.parent / "view.parquet"
    write_view(view, make_view())
    for name in (str(victim), "../victim"):
        with pytest.raises(CorruptDataError, match="scene_id"):
            assemble(
                {0: view},
                name,
                victim.parent / "views",
                stub_params(),
                store=store,
                key=hashlib.sha256(name.encode()).hexdigest(),
            )
    assert untouched(victim)


def test_two_clips_of_one_scene_id_are_refused(tmp_path: Path) -> None:
    write_clip(make_clip("same"), tmp_path / "first")
    write_clip(make_clip("same"), tmp_path / "second")
    with pytest.raises(CorruptDataError, match="'same', as the one in first"):
        read_clip_facts(tmp_path)


def test_no_held_out_photo_is_read_from_outside(tmp_path: Path) -> None:
    def view(name: str) -> HeldOutView:
        return HeldOutView(name, make_frames(1)[0], make_cameras(1))

    write_held_out([view("outside")], tmp_path)
    write_held_out([view("a photo of mine")], tmp_path / "scene")
    assert [view.name for view in read_held_out(tmp_path / "scene")] == ["a photo of mine"]
    index = tmp_path / "scene" / "held_out.json"
    for name in ("../outside", str(tmp_path / "outside"), "a\0b", "sub/outside"):
        values = json.loads(index.read_text())
        values["facts"]["names"] = [name]
        del values["sha256"]
        digest = sha256_of_bytes(json.dumps(values, sort_keys=True, allow_nan=False).encode())
        index.write_text(json.dumps({**values, "sha256": digest}))
        with pytest.raises(CorruptDataError, match="held-out view"):
            read_held_out(tmp_path / "scene")


def test_finished_scenes_are_published_nowhere_but_in_their_folder(victim: Path) -> None:
    scratch = victim.parent / "scratch"
    store, key = FinishedScenes(scratch), "0" * 64
    store.put(key, replace(make_clip(), scene_id="../victim/new"), [])
    with pytest.raises(CorruptDataError, match="scene_id"):
        store.publish(key, victim.parent / "clips", victim.parent / "held_out")
    assert (scratch / ANNOTATE / key).is_dir() and untouched(victim)


# views


@pytest.mark.parametrize("column", ["scene_id", "trajectory"])
def test_no_row_of_a_view_file_names_a_path(tmp_path: Path, column: str) -> None:
    path = tmp_path / "000_right.parquet"
    for name in ("../other", "/elsewhere/other", "", "a\0b"):
        write_view(path, replace(make_view(num_frames=1), **{column: name}))
        for read in (read_row, lambda path: read_columns(path, [column])):
            with pytest.raises(CorruptDataError, match=column):
                read(path)


def test_a_view_in_the_folder_of_another_scene_is_not_packaged(tmp_path: Path) -> None:
    write_view(tmp_path / "views" / "mine" / "000_right.parquet", make_view("yours"))
    params = PackageParams(
        scenes_per_shard=2,
        validation_fraction=0.0,
        validation_scenes=(),
        rgb="lossless",
        depth="lossless",
        latents="lossless",
    )
    with pytest.raises(CorruptDataError, match="'yours' and lies in the folder of another"):
        package_views(
            params,
            views=tmp_path / "views",
            dataset=tmp_path / "dataset",
            scratch=tmp_path / ".work",
            progress=silent,
        )


def test_no_dropped_view_names_a_path(tmp_path: Path) -> None:
    for changes in ({"scene_id": "../x"}, {"trajectory": "/etc"}):
        view = DroppedView("scene", 0, "left", False, ("too dark",))
        record_dropped([replace(view, **changes)], tmp_path)
        with pytest.raises(CorruptDataError, match="is no name"):
            read_dropped(tmp_path)


# datasets


def outside_manifests(victim: Path) -> dict[str, Callable[[Manifest], Manifest]]:
    """Changes of a manifest that name the user's file, or what would be written beside it."""
    secret = victim / "work.txt"
    size, sha256 = secret.stat().st_size, sha256_of_file(secret)

    def of_files(path: str) -> Callable[[Manifest], Manifest]:
        def change(manifest: Manifest) -> Manifest:
            entry = replace(manifest.files[0], path=path, size=size, sha256=sha256)
            return replace(manifest, files=(*manifest.files, entry))

        return change

    def of_shards(**values: Any) -> Callable[[Manifest], Manifest]:
        return lambda manifest: replace(
            manifest, shards=(replace(manifest.shards[0], **values), *manifest.shards[1:])
        )

    def of_scenes(**values: Any) -> Callable[[Manifest], Manifest]:
        return lambda manifest: replace(
            manifest, scenes=(replace(manifest.scenes[0], **values), *manifest.scenes[1:])
        )

    return {
        "file above": of_files("../victim/work.txt"),
        "file at an absolute path": of_files(str(secret)),
        "shard above": of_shards(path="../victim/work.txt"),
        "shard at an absolute path": of_shards(path=str(secret)),
        "shard's split": of_shards(split="../victim/x"),
        "modality": of_shards(modality="../victim"),
        "scene above": of_scenes(scene_id="../victim/x"),
        "scene at an absolute path": of_scenes(scene_id=str(victim / "x")),
        "scene's split": of_scenes(split="../victim/x"),
    }


def test_no_manifest_names_a_path_outside(victim: Path) -> None:
    changes = outside_manifests(victim)
    sound = dataset_of(victim.parent / "dataset", views_of())
    text = (sound / MANIFEST_PATH).read_bytes()
    for what, change in changes.items():
        (sound / MANIFEST_PATH).write_bytes(text)
        rewrite_manifest(sound, change)
        with pytest.raises(CorruptDataError) as caught:
            SceneDataset(sound)
        assert "manifest.json" in str(caught.value.where), what
        (finding,) = check_dataset(sound, sample=None, progress=silent).findings
        assert (finding.rule, finding.severity) == ("manifest", "error"), what
    assert untouched(victim)


@pytest.mark.parametrize("encoding", [{"rgb": "<b>x</b>"}, {"a|b": "lossless"}, {"rgb": [1]}])
def test_an_encoding_is_a_name_for_it_stands_in_cards(tmp_path: Path, encoding: Any) -> None:
    sound = dataset_of(tmp_path / "dataset", views_of())
    rewrite_manifest(sound, lambda one: replace(one, encoding={**one.encoding, **encoding}))
    with pytest.raises(CorruptDataError, match="is no name"):
        SceneDataset(sound)


def test_commands_refuse_such_a_dataset_and_write_nothing(victim: Path) -> None:
    root = victim.parent
    views = views_of(str(victim / "picture"))
    dataset = dataset_of(root / "dataset", views)
    commands = [
        ("inspect", dataset),
        ("filter", dataset, root / "out", "--where", "view_index >= 0"),
        ("split", dataset, root / "out", "--share", "train=1", "--seed", "1"),
        ("merge", dataset, dataset, root / "out", "--prefix", "x-", "--prefix", "y-"),
        ("convert", dataset, root / "out", "--to", "webdataset"),
        ("stats", dataset),
    ]
    for command in commands:
        ran = run(*command)
        assert ran.exit_code == 2, (command[0], ran.output)
        assert "scene_id" in ran.output and "is no name" in ran.output, command[0]
    assert run("check", dataset).exit_code == 1
    assert sorted(path.name for path in root.iterdir()) == ["dataset", "victim"]
    assert untouched(victim)


def test_no_index_leads_to_a_file_that_the_manifest_does_not_name(victim: Path) -> None:
    folder = dataset_of(victim.parent / "dataset", views_of())
    path = folder / index_path("rgb")
    table = pq.read_table(path)
    column = table.schema.get_field_index("file")
    for name in ("../victim/work.txt", str(victim / "work.txt")):
        files = pa.array([name] * len(table), pa.string())
        pq.write_table(table.set_column(column, table.schema.field(column), files), path)
        entry: dict[str, Any] = {"path": index_path("rgb"), "size": path.stat().st_size}
        entry["sha256"] = sha256_of_file(path)
        rewrite_manifest(
            folder,
            lambda manifest, entry=entry: replace(
                manifest,
                files=tuple(
                    replace(one, **entry) if one.path == entry["path"] else one
                    for one in manifest.files
                ),
            ),
        )
        with pytest.raises(CorruptDataError, match=r"it names .*, and the manifest does not"):
            SceneDataset(folder)["scene"].read_views()


@pytest.mark.parametrize("read", ["fields", "table"])
def test_no_row_of_a_dataset_has_a_trajectory_that_is_no_name(tmp_path: Path, read: str) -> None:
    dataset = SceneDataset(dataset_of(tmp_path / "dataset", views_of(trajectory="../other")))
    with pytest.raises(CorruptDataError, match=r"trajectory '\.\./other' is no name"):
        if read == "fields":
            dataset.read_fields("scene", ["trajectory"])
        else:
            dataset["scene"].stored.table("preview")


@pytest.mark.parametrize("is_absolute", [True, False])
def test_no_lyra_name_leads_out_of_the_output(victim: Path, is_absolute: bool) -> None:
    name = str(victim / "clip") if is_absolute else "../../../../victim/clip"
    provenance = {**make_view().provenance, "lyra_name": name}
    dataset = dataset_of(
        victim.parent / "dataset", views_of(trajectory="left", provenance=provenance)
    )
    with pytest.raises(CorruptDataError, match="lyra_name"):
        convert_to_lyra(SceneDataset(dataset), victim.parent / "out", silent)
    assert sorted(path.name for path in victim.parent.iterdir()) == ["dataset", "victim"]
    assert untouched(victim)


def test_clips_of_any_name_get_scenes_of_their_own_that_can_stand_in_paths() -> None:
    names = ["a still one", "a_still_one", "a still  one", "künstlich", "k?nstlich", "x" * 240]
    scenes = [scene_id_of("static", name) for name in names]
    assert len(set(scenes)) == len(names)
    assert all(map(is_safe_name, scenes))
    assert scene_id_of("static", "a_still.one") == "static-a_still.one"


def test_a_prefix_makes_no_path_of_a_scene(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "dataset", views_of())
    ran = run("merge", dataset, tmp_path / "out", "--prefix", "../")
    assert ran.exit_code == 2, ran.output
    assert not (tmp_path / "out").exists()


# what is finished and waits in .work


def test_no_packed_scene_and_no_result_in_the_scratch_folder_names_a_path(tmp_path: Path) -> None:
    packed = pack_scene(map(row_from_view, views_of()), encoding=Encoding())
    dataclasses.replace(packed, scene_id="../x").write(tmp_path)
    (tmp_path / RESULT_FILE).write_text(json.dumps({"scene_id": "/x", "real": None}))
    for read in (PackedScene.read, SceneResult.read):
        with pytest.raises(LyraError, match="scene_id"):
            read(tmp_path)
