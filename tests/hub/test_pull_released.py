"""Scenes are read out of a release's tars: few bytes, a kept index, flipped poses mended."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.convert.from_lyra import FromLyraSettings, convert_from_lyra
from lyra_data.dataset.convert.lyra_clip import ClipSettings
from lyra_data.dataset.convert.lyra_source import LyraSource
from lyra_data.dataset.format.manifest import Manifest, parse_manifest
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.progress import silent
from lyra_data.hub import ranges
from lyra_data.hub.listing import RemoteFile
from lyra_data.sharing.pulling.tar_index import TarIndex
from tests.hub.pulls import Pull, files_in
from tests.hub.server import HubState, client_pointed_at
from tests.lyra_layout import write_clip

SDG = "nvidia/PhysicalAI-SpatialIntelligence-Lyra-SDG"
SDG_KEY = f"datasets/{SDG}"
STATIC = "static/dataset_part0000.tar"
DYNAMIC = "dynamic/dataset_part0000.tar"


def tar_with(files: Iterable[tuple[str, bytes]], format: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def renamed(files: Mapping[str, bytes], name: str) -> list[tuple[str, bytes]]:
    """The files of a scene under another name, as a scene after the other lies in a tar."""
    return [(path.replace("/scene.", f"/{name}."), data) for path, data in files.items()]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Files of a still scene, six paths, and of a moving one, of whose twelve two are backwards."""
    still, moving = (tmp_path_factory.mktemp(name) for name in ("still", "moving"))
    write_clip(still, 1)
    write_clip(moving, 2)
    write_clip(moving, 8, broken=True)
    one = files_in(still)
    six = {
        path.replace("1/", f"{index}/", 1): data for index in range(6) for path, data in one.items()
    }
    return {"still": six, "moving": files_in(moving)}


@pytest.fixture(scope="module")
def release(clips) -> dict[str, bytes]:
    still = [file for name in ("s0", "s1", "s2") for file in renamed(clips["still"], name)]
    return {
        STATIC: tar_with(still[:60]),
        "static/dataset_part0001.tar": tar_with(still[60:]),
        DYNAMIC: tar_with(renamed(clips["moving"], "d0")),
        "README.md": b"---\nlicense: cc-by-4.0\n---\n",
    }


@pytest.fixture
def pull(hub_state: HubState, hub: str, release, tmp_path: Path, monkeypatch) -> Pull:
    monkeypatch.setattr(ranges, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hub_state.large_from = 1000
    hub_state.add(SDG, release, kind="dataset", card={"license": "cc-by-4.0"})
    hub_state.records.clear()
    return Pull(hub_state, hub, tmp_path)


def manifest_of(folder: Path) -> Manifest:
    path = folder / "meta" / "manifest.json"
    return parse_manifest(path.read_bytes(), str(path))


def plan(pull: Pull, *options: str) -> dict:
    code, text = pull(
        "lyra-sdg", *options, "--dry-run", "--json", "--output", str(pull.folder / "x")
    )
    assert code == 0, text
    return json.loads(text[text.index("{\n") :])


def tar_bytes(pull: Pull) -> int:
    return pull.bytes_of(".tar", SDG_KEY)


def test_a_scene_of_a_tar_is_what_convert_makes_of_it(pull: Pull, clips, tmp_path: Path) -> None:
    code, text = pull.into("got", "lyra-sdg", "--scenes", "1", "--trajectories", "right")
    assert code == 0, text
    assert "cc-by-4.0" in text and f"1 scene, 1 clip out of {STATIC}" in text
    for path, data in renamed(clips["still"], "s0"):
        if path.startswith("1/"):
            (tmp_path / "static" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "static" / path).write_bytes(data)
    settings = FromLyraSettings(ClipSettings(repair_poses=True, latents="half"), 8, True)
    with LyraSource(tmp_path / "static") as source:
        convert_from_lyra(
            source, tmp_path / "made", settings, scratch=tmp_path / "w", progress=silent
        )
    read, made = SceneDataset(tmp_path / "got"), SceneDataset(tmp_path / "made")
    assert read.scene_ids == ["static-s0"] and made.scene_ids == ["s0"]
    for modality in ("rgb", "latent", "depth"):
        hashes, expected = (
            [blob.hashes for key, blob in sorted(scene.stored.blobs(modality).items()) if key[1]]
            for scene in (read[0], made[0])
        )
        assert hashes == expected != []
    cameras = [scene[0].stored.rows("camera", ["camera_to_world"]) for scene in (read, made)]
    assert cameras[0][0]["camera_to_world"] == cameras[1][0]["camera_to_world"]
    assert not check_dataset(tmp_path / "got", sample=None, progress=silent).findings
    assert not (tmp_path / ".work").exists()


def test_a_part_of_a_release_names_it_and_every_row_has_its_licence(pull: Pull) -> None:
    assert pull.into("got", "lyra-sdg", "--scenes", "1", "--trajectories", "right")[0] == 0
    manifest = manifest_of(pull.folder / "got")
    part_of = manifest.provenance["part_of"]
    assert part_of["repository"] == SDG
    assert part_of["revision"] == pull.state.repositories[SDG_KEY].head
    assert part_of["choice"] == {"num_scenes": 1, "trajectories": ["right"]}
    (row,) = SceneDataset(pull.folder / "got")[0].stored.rows("preview", ["licence"])
    assert row["licence"] == "cc-by-4.0"
    pull.state.records.clear()
    code, text = pull.into("got", "lyra-sdg", "--scenes", "1", "--trajectories", "right")
    assert code == 0 and "holds this part already" in text and tar_bytes(pull) == 0


def test_with_the_index_a_scene_costs_its_own_bytes(pull: Pull) -> None:
    size = plan(pull, "--scenes", "static-s1", "--trajectories", "right")["num_bytes_to_fetch"]
    pull.state.records.clear()
    options = ("--scenes", "static-s1", "--trajectories", "right")
    assert pull.into("got", "lyra-sdg", *options)[0] == 0
    assert size <= tar_bytes(pull) <= 1.2 * size


def test_flipped_poses_are_turned_around_on_arrival(pull: Pull) -> None:
    code, text = pull.into("got", "lyra-sdg", "--scenes", "d0")
    assert code == 0, text
    assert "poses repaired in 1 of 2 views" in text
    assert manifest_of(pull.folder / "got").provenance["views_with_repaired_poses"] == "1"
    assert not check_dataset(pull.folder / "got", sample=None, progress=silent).findings


def test_the_walk_stops_where_there_are_enough_scenes(pull: Pull) -> None:
    plan(pull, "--scenes", "1")
    walked = pull.state.records.bytes_served
    assert {name for _, name in walked if name.endswith(".tar")} == {DYNAMIC, STATIC}
    few = tar_bytes(pull)
    plan(pull, "--scenes", "s*")
    assert {name for _, name in walked if name.endswith(".tar")} == {
        DYNAMIC, STATIC, "static/dataset_part0001.tar",
    }  # fmt: skip
    assert tar_bytes(pull) > few


def test_an_index_is_kept_and_nothing_of_it_is_asked_for_again(pull: Pull) -> None:
    first = plan(pull, "--scenes", "s2")
    pull.state.records.clear()
    assert plan(pull, "--scenes", "s2") == first
    assert tar_bytes(pull) == 0


def test_a_walk_that_broke_off_goes_on_where_it_was(pull: Pull) -> None:
    pull.state.faults.add("status", r"GET .*static/dataset_part0000", times=None, after=3)
    code, text = pull("lyra-sdg", "--scenes", "s*", "--dry-run")
    assert code == 2 and "same command again" in text
    pull.state.faults.rules.clear()
    half = tar_bytes(pull)
    found = plan(pull, "--scenes", "s*")
    assert found["scenes"] == ["static-s0", "static-s1", "static-s2"]
    broken, pull.state.records.bytes_served = (
        tar_bytes(pull),
        type(pull.state.records.bytes_served)(),
    )
    for path in (pull.folder / "cache").rglob("*.jsonl"):
        path.unlink()
    assert plan(pull, "--scenes", "s*") == found
    assert broken <= tar_bytes(pull) + 4096 and half > 0


def test_a_torn_line_of_an_index_is_found_again(pull: Pull) -> None:
    found = plan(pull, "--scenes", "s*")
    for path in (pull.folder / "cache").rglob("*.jsonl"):
        lines = path.read_bytes().splitlines(True)
        path.write_bytes(b"".join(lines[: len(lines) // 2]) + lines[len(lines) // 2][:-9])
    assert plan(pull, "--scenes", "s*") == found
    pull.state.records.clear()
    assert plan(pull, "--scenes", "s*") == found and tar_bytes(pull) == 0


def test_a_pull_that_broke_off_fetches_no_clip_again(pull: Pull) -> None:
    options = ("--scenes", "s0", "--trajectories", "left,right")
    size = plan(pull, *options)["num_bytes_to_fetch"]
    pull.state.records.clear()
    pull.state.faults.add("status", r"GET .*static/dataset_part0000", times=None, after=6)
    assert pull.into("got", "lyra-sdg", *options)[0] == 2
    assert not (pull.folder / "got").exists()
    pull.state.faults.rules.clear()
    assert pull.into("got", "lyra-sdg", *options)[0] == 0
    assert size <= tar_bytes(pull) <= 1.2 * size + size / 2  # one clip is fetched again, of two


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read(pull: Pull, clips, format: int) -> None:
    name = "a" * 120
    tar = tar_with(renamed(clips["still"], name), format)
    pull.state.commit(pull.state.repositories[SDG_KEY], {STATIC: tar})
    assert plan(pull, "--scenes", "a*")["scenes"] == [f"static-{name}"]


@pytest.mark.parametrize(
    ("tar", "words"),
    [
        (tar_with([("../0/rgb/a.mp4", b"x" * 600)]), "outside the folder that a tar is unpacked"),
        (tar_with([("/0/rgb/a.mp4", b"x" * 600)]), "outside the folder that a tar is unpacked"),
        (b"no tar at all " * 900, "not a readable uncompressed tar"),
        (tar_with([("0/rgb/a.mp4", b"x" * 9000)])[:5000], "not a readable uncompressed tar"),
        (tar_with([("12/rgb/a.mp4", b"x" * 600)]), "lies in folder 12"),
        (tar_with([("0/rgb/a.mp4", b"x" * 600)] * 2), "is there twice"),
        (tar_with([("0/notes.txt", b"x" * 1600)]), "no tar of it holds a scene"),
    ],
)
def test_a_tar_that_cannot_be_is_refused(pull: Pull, tar: bytes, words: str) -> None:
    repository = pull.state.repositories[SDG_KEY]
    others = [name for name in pull.state.files(SDG_KEY) if name.endswith(".tar")]
    pull.state.commit(repository, {}, deleted=others)
    pull.state.commit(repository, {STATIC: tar + bytes(1024)})
    code, text = pull.into("got", "lyra-sdg", "--scenes", "3")
    assert code == 2 and words in text
    assert not (pull.folder / "got").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--split", "train"), "not by --split"),
        (("--min-quality", "20"), "not by --where"),
        (("--modalities", "rgb"), "not by --modalities"),
        (("--trajectories", "sideways"), "called 'sideways'"),
        (("--scenes", "nobody"), "fits no scene"),
        (("--max-gb", "0.0000001"), "the first scene"),
    ],
)
def test_what_a_release_cannot_tell_is_refused(pull: Pull, options, words: str) -> None:
    code, text = pull.into("got", "lyra-sdg", *options)
    assert code == 2 and words in text


def test_bytes_of_a_clip_that_arrived_altered_are_fetched_anew(pull: Pull, monkeypatch) -> None:
    options = ("--scenes", "s0", "--trajectories", "right")
    plan(pull, *options)
    read, times = ranges.HubRanges.read, []

    def altered(self, file: str, begin: int, end: int) -> bytes:
        data = bytearray(read(self, file, begin, end))
        if file == STATIC and data[:2] == b"PK" and not times:  # a zip, whose sums tell it
            times.append(begin)
            data[len(data) // 2] ^= 1
        return bytes(data)

    monkeypatch.setattr(ranges.HubRanges, "read", altered)
    code, text = pull.into("got", "lyra-sdg", *options)
    assert code == 2 and "arrived altered" in text and times
    code, text = pull.into("got", "lyra-sdg", *options)
    assert code == 0 and "could not be read" not in text


def test_a_clip_that_is_broken_in_the_release_is_left_out_and_recorded(pull: Pull, clips) -> None:
    files = renamed(clips["still"], "s0")
    files = [(path, b"no video" * 90 if path == "0/rgb/s0.mp4" else data) for path, data in files]
    pull.state.commit(pull.state.repositories[SDG_KEY], {STATIC: tar_with(files)})
    options = ("--scenes", "s0", "--trajectories", "left,right")
    code, text = pull.into("got", "lyra-sdg", *options)
    assert code == 0 and "1 clip could not be read, first static-s0" in text
    assert [view.view_index for view in manifest_of(pull.folder / "got").dropped] == [0]


def test_one_request_brings_the_headers_of_many_small_files(pull: Pull) -> None:
    small = [(f"0/pose/{number:04d}.npz", bytes(700)) for number in range(600)]
    large = [(f"0/rgb/{number:04d}.mp4", bytes(200_000)) for number in range(20)]
    tar = tar_with([*small, *large])
    repository = pull.state.repositories[SDG_KEY]
    pull.state.commit(repository, {STATIC: tar}, deleted=[DYNAMIC])
    pull.state.records.clear()
    found = TarIndex(*remote_tar(pull, STATIC), pull.folder / "index")
    with client_pointed_at(pull.endpoint, pull.folder / "home"):
        assert len(list(found.members())) == 620
    requests = [one for one in pull.state.records.range_requests if one.name == STATIC]
    assert len(requests) < 20 + 15
    assert tar_bytes(pull) < 0.5 * len(tar)


def remote_tar(pull: Pull, name: str) -> tuple[ranges.HubRanges, RemoteFile]:
    revision = pull.state.repositories[SDG_KEY].head
    size = len(pull.state.files(SDG_KEY)[name])
    return ranges.HubRanges(SDG, "dataset", revision), RemoteFile(name, size, "a" * 64, None)
