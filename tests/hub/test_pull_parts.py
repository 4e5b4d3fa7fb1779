"""A part of a dataset is a dataset, made of no more bytes of the Hub than it needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.editing.filtering import ViewFilter, filter_dataset
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.manifest import Manifest, parse_manifest
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError
from lyra_data.engine.progress import silent
from lyra_data.hub import ranges
from stages.cli import app
from tests.dataset_scenes import exact_scene
from tests.hub.pulls import KEY, SCENES, Pull, files_in
from tests.hub.server import HubState


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "dataset"
    views = [view for name in "abc" for view in exact_scene(name)]
    splits = {"a": "train", "b": "train", "c": "validation"}
    write_dataset(views, folder, splits=splits, scenes_per_shard=2, provenance={"by": "a test"})
    return folder


@pytest.fixture
def pull(hub_state: HubState, hub: str, dataset: Path, tmp_path: Path, monkeypatch) -> Pull:
    monkeypatch.setattr(ranges, "FIRST_WAIT_SECONDS", 0.01)
    hub_state.large_from = 1000
    repository = hub_state.add(
        SCENES, files_in(dataset), kind="dataset", card={"license": "cc-by-4.0"}
    )
    repository.history.tags["v1"] = repository.head
    hub_state.records.clear()
    return Pull(hub_state, hub, tmp_path)


def manifest_of(folder: Path) -> Manifest:
    path = folder / "meta" / "manifest.json"
    return parse_manifest(path.read_bytes(), str(path))


def filtered(dataset: Path, target: Path, **demands) -> Manifest:
    """The same part made on this machine, of the whole dataset."""
    made = filter_dataset(
        OpenedDataset(dataset), target, ViewFilter(**demands), scenes_per_shard=2, progress=silent
    )
    return made.manifest


@pytest.mark.parametrize(
    ("options", "demands"),
    [
        (("--scenes", "2"), {"scenes": ["a", "b"]}),
        (("--scenes", "b,c"), {"scenes": ["b", "c"]}),
        (("--scenes", "[bc]*"), {"scenes": ["b", "c"]}),
        (("--split", "validation"), {"splits": ["validation"]}),
        (("--trajectories", "up"), {"trajectories": ["up"]}),
        (("--scenes", "1", "--trajectories", "up"), {"scenes": ["a"], "trajectories": ["up"]}),
    ],
)
def test_a_part_is_what_filter_makes_of_the_whole(pull: Pull, dataset, options, demands) -> None:
    code, text = pull.into("part", f"{SCENES}@v1", *options)
    assert code == 0, text
    made = filtered(dataset, pull.folder / "filtered", **demands)
    assert manifest_of(pull.folder / "part").dataset_hash == made.dataset_hash
    found, expected = files_in(pull.folder / "part"), files_in(pull.folder / "filtered")
    del found["meta/manifest.json"], expected["meta/manifest.json"]
    assert found == expected
    assert not (pull.folder / ".work").exists()


def test_a_part_passes_every_check_and_names_what_it_is_part_of(pull: Pull, dataset) -> None:
    assert pull.into("part", f"{SCENES}@v1", "--scenes", "b", "--trajectories", "right")[0] == 0
    assert not check_dataset(pull.folder / "part", sample=None, progress=silent).findings
    provenance = manifest_of(pull.folder / "part").provenance
    assert provenance["part_of"] == {
        "repository": SCENES,
        "tag": "v1",
        "revision": pull.state.repositories[KEY].head,
        "licence": "cc-by-4.0",
        "dataset_hash": manifest_of(dataset).dataset_hash,
        "choice": {"scenes": ["b"], "trajectories": ["right"]},
    }
    assert provenance["inputs"][0]["provenance"] == {"by": "a test"}


def needed_bytes(dataset: Path, views: dict[str, list[int]], modalities) -> int:
    """Bytes of all blobs of the views."""
    opened = SceneDataset(dataset)
    total = 0
    for scene_id, chosen in views.items():
        for modality in modalities:
            blobs = opened[scene_id].stored.blobs(modality)
            total += sum(blob.table.ends[-1] for (view, _), blob in blobs.items() if view in chosen)
    return total


@pytest.mark.parametrize(
    ("options", "views"),
    [
        (("--scenes", "b"), {"b": [0, 1, 2]}),
        (("--scenes", "b", "--trajectories", "up"), {"b": [1]}),
        (("--trajectories", "up"), {"a": [1], "b": [1], "c": [1]}),
    ],
)
def test_no_bytes_of_other_views_are_fetched(pull: Pull, dataset, options, views) -> None:
    assert pull.into("part", SCENES, *options)[0] == 0
    modalities = ("rgb", "latent", "depth", "camera", "mask")
    sent = sum(pull.bytes_of(f"data/{modality}/") for modality in modalities)
    needed = needed_bytes(dataset, views, modalities)
    footers = sum(shard.footer_size for shard in manifest_of(dataset).shards)
    assert needed < sent <= 1.2 * needed + footers


def test_only_the_modalities_that_are_named_come_and_the_part_is_sound(pull: Pull) -> None:
    code, text = pull.into("part", SCENES, "--scenes", "2", "--modalities", "rgb,camera")
    assert code == 0, text
    folder = pull.folder / "part"
    assert manifest_of(folder).modalities == ("preview", "rgb", "camera")
    assert manifest_of(folder).latent_channels == ()
    assert not list(folder.glob("*/latent*")) and pull.bytes_of("latent") == 0
    assert not check_dataset(folder, sample=None, progress=silent).findings
    read = SceneDataset(folder)
    (row, *_) = read["a"].read_fields(["frames", "camera_to_world"])
    assert (row["frames"] == exact_scene("a")[0].frames).all()
    with pytest.raises(InputError, match="it has no latent: it is a part of a dataset"):
        read["a"].read_fields(["latents"])
    card = (folder / "README.md").read_text()
    assert "config_name: rgb" in card and "config_name: latent" not in card


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("check",), 0, "0 errors"),
        (("stats",), 0, "3 views"),
        (("filter", "--trajectory", "up", "OUT"), 0, "1 view (of 1 and 3)"),
        (("inspect",), 2, "it has no depth: it is a part of a dataset, pulled without"),
        (("convert", "OUT"), 2, "it has no"),
    ],
)
def test_verbs_take_a_part_without_latents_and_depth(pull, arguments, code, words) -> None:
    assert pull.into("part", SCENES, "--scenes", "1", "--modalities", "rgb")[0] == 0
    verb, *rest = arguments
    rest = [str(pull.folder / "out") if one == "OUT" else one for one in rest]
    command = [verb, str(pull.folder / "part"), *rest]
    done = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert done.exit_code == code, (done.output, done.exception)
    assert words in done.output


def test_parts_of_other_modalities_are_not_merged(pull: Pull) -> None:
    assert pull.into("one", SCENES, "--scenes", "a", "--modalities", "rgb")[0] == 0
    assert pull.into("two", SCENES, "--scenes", "b")[0] == 0
    parts = [str(pull.folder / name) for name in ("one", "two", "out")]
    done = CliRunner().invoke(app, ["merge", *parts], env={"COLUMNS": "200"})
    assert done.exit_code == 2 and "the same --modalities" in done.output


def test_quality_chooses_views_and_numbers_choose_scenes(pull: Pull, dataset) -> None:
    rows = OpenedDataset(dataset).preview(OpenedDataset(dataset).scenes[0], ["cache_psnr_db"])
    least = rows[0]["cache_psnr_db"]
    assert pull.into("part", SCENES, "--min-quality", str(least), "--scenes", "1")[0] == 0
    made = filtered(
        dataset,
        pull.folder / "filtered",
        scenes=["a"],
        where=PartWhere.of(f"cache_psnr_db >= {least}"),
    )
    assert manifest_of(pull.folder / "part").dataset_hash == made.dataset_hash


class PartWhere:
    """Conditions as filter takes them."""

    @staticmethod
    def of(text: str):
        from lyra_data.dataset.editing.conditions import Condition
        from lyra_data.dataset.editing.filtering import CONDITION_COLUMNS

        return (Condition(text, CONDITION_COLUMNS),)


def test_a_size_is_kept_to(pull: Pull) -> None:
    code, text = pull(SCENES, "--dry-run", "--json", "--output", str(pull.folder / "x"), *MOST)
    assert code == 0
    assert json.loads(text[text.index("{\n") :])["num_scenes"] == 3
    one = json.loads(text[text.index("{\n") :])["num_bytes_to_fetch"] / 3
    code, text = pull.into("part", SCENES, "--max-gb", str(2.5 * one / 1e9))
    assert code == 0, text
    assert [scene.scene_id for scene in manifest_of(pull.folder / "part").scenes] == ["a", "b"]
    size = sum(shard.size for shard in manifest_of(pull.folder / "part").shards)
    assert size < 1.1 * 2.5 * one


MOST = ("--max-gb", "1000")


def test_what_arrived_before_a_pull_broke_off_is_not_fetched_again(pull: Pull, dataset) -> None:
    pull.state.faults.add("status", r"GET .*data/mask", times=None, after=2)
    code, text = pull.into("part", SCENES, "--scenes", "2")
    assert code == 2 and "same command again" in text
    assert not (pull.folder / "part").exists()
    pull.state.faults.rules.clear()
    pull.state.records.clear()
    assert pull.into("part", SCENES, "--scenes", "2")[0] == 0
    needed = needed_bytes(dataset, {"a": [0, 1, 2]}, ["rgb"])
    assert pull.bytes_of("data/rgb") < 0.2 * needed  # a footer
    assert not check_dataset(pull.folder / "part", sample=None, progress=silent).findings


def test_a_part_that_is_there_is_not_fetched_again_and_no_other_takes_its_place(pull: Pull) -> None:
    assert pull.into("part", SCENES, "--scenes", "1")[0] == 0
    pull.state.records.clear()
    code, text = pull.into("part", SCENES, "--scenes", "1")
    assert code == 0 and "holds this part already" in text
    assert pull.bytes_of("data/") == 0
    code, text = pull.into("part", SCENES, "--scenes", "2")
    assert code == 2 and "not empty" in text
    next((pull.folder / "part" / "data" / "rgb").iterdir()).unlink()
    code, text = pull.into("part", SCENES, "--scenes", "1")
    assert code == 2 and "gone or cut" in text and "remove" in text


def test_a_stream_that_breaks_off_goes_on_where_it_was(pull: Pull) -> None:
    pull.state.faults.add("cut_answer", r"GET .*data/(rgb|depth)", times=4, num_bytes=20_000)
    code, text = pull.into("part", SCENES, "--scenes", "b")
    assert code == 0, text
    assert sum(rule.happened for rule in pull.state.faults.rules) == 4
    assert not check_dataset(pull.folder / "part", sample=None, progress=silent).findings
    rows = [one for one in pull.state.records.range_requests if "data/rgb" in one.name]
    (first, second) = [one for one in rows if one.num_bytes > 100_000]
    assert second.first == first.first + 20_000
    assert second.num_bytes == first.num_bytes - 20_000


def test_a_busy_hub_is_asked_again_when_it_says(pull: Pull) -> None:
    pull.state.faults.add("status", r"GET .*data/rgb", times=2, status=429, retry_after=0)
    pull.state.faults.add("status", r"GET .*data/depth", times=2, status=503)
    nonsense: Any = "nan"
    pull.state.faults.add("status", r"GET .*data/mask", times=1, status=503, retry_after=nonsense)
    assert pull.into("part", SCENES, "--scenes", "b")[0] == 0


def test_altered_bytes_are_named_and_never_kept(pull: Pull) -> None:
    rgb = "data/rgb/train-00000-of-00001.parquet"
    data = bytearray(pull.state.files(KEY)[rgb])
    data[len(data) // 4] ^= 1
    repository = pull.state.repositories[KEY]
    good = repository.history.tags["v1"]
    pull.state.commit(repository, {rgb: bytes(data)})
    repository.history.tags["v1"] = repository.head
    code, text = pull.into("part", f"{SCENES}@v1", "--scenes", "a")
    assert code == 2 and rgb in text and "cut or altered" in text and "dvc" not in text
    assert not (pull.folder / "part").exists()
    repository.history.tags["v1"] = good
    assert pull.into("part", f"{SCENES}@v1", "--scenes", "a")[0] == 0


def test_a_full_disk_is_told_before_anything_is_fetched(pull: Pull, monkeypatch) -> None:
    usage = shutil.disk_usage(pull.folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    for part in ((), ("--scenes", "1")):
        code, text = pull.into("part", SCENES, *part)
        assert code == 2 and "MiB are needed" in text
    assert pull.bytes_of("data/rgb") < 10_000


def test_a_branch_that_moves_meanwhile_changes_nothing(pull: Pull, monkeypatch) -> None:
    from lyra_data.sharing.pulling import dataset_part

    planned = dataset_part.plan_part

    def then_moved(*arguments, **options):
        plan = planned(*arguments, **options)
        gone = [name for name in pull.state.files(KEY) if name.startswith("data/")]
        pull.state.commit(pull.state.repositories[KEY], {}, deleted=gone)
        return plan

    monkeypatch.setattr(dataset_part, "plan_part", then_moved)
    code, text = pull.into("part", SCENES, "--scenes", "a")
    assert code == 0, text
