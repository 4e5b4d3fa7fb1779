"""Repositories of the Hub are pulled whole: verified, resumable, and nothing is replaced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.progress import silent
from lyra_data.hub import ranges
from tests.dataset_scenes import exact_scene
from tests.hub.pulls import KEY, SCENES, Pull, files_in
from tests.hub.server import OTHER_TOKEN, TOKEN, HubState

MODEL = {"model.safetensors": bytes(range(256)) * 40_000, "config.json": b"{}"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "dataset"
    views = [view for name in "abc" for view in exact_scene(name)]
    splits = {"a": "train", "b": "train", "c": "validation"}
    write_dataset(views, folder, splits=splits, scenes_per_shard=2, provenance={})
    return folder


@pytest.fixture
def pull(hub_state: HubState, hub: str, dataset: Path, tmp_path: Path, monkeypatch) -> Pull:
    monkeypatch.setattr(ranges, "FIRST_WAIT_SECONDS", 0.01)
    hub_state.large_from = 1000
    card = {"license": "cc-by-4.0"}
    repository = hub_state.add(SCENES, files_in(dataset), kind="dataset", card=card)
    repository.history.tags["v1"] = repository.head
    hub_state.add("lab/net", MODEL)
    hub_state.records.clear()
    return Pull(hub_state, hub, tmp_path)


def test_a_dataset_arrives_as_it_was_published(pull: Pull, dataset: Path) -> None:
    code, text = pull.into("got", f"{SCENES}@v1")
    assert code == 0, text
    assert "cc-by-4.0" in text and "the manifest" in text
    assert files_in(pull.folder / "got") == files_in(dataset)
    assert not check_dataset(pull.folder / "got", sample=None, progress=silent).findings


def test_nothing_is_fetched_before_size_and_licence_are_agreed_to(pull: Pull) -> None:
    code, text = pull(SCENES, "--output", str(pull.folder / "got"))
    assert code == 2
    assert "cc-by-4.0" in text and "--yes" in text
    assert not (pull.folder / "got").exists()
    assert pull.bytes_of("data/") == 0


def test_a_dry_run_says_what_would_be_fetched_and_fetches_nothing(pull: Pull) -> None:
    output = str(pull.folder / "got")
    code, text = pull(SCENES, "--dry-run", "--json", "--output", output)
    facts = json.loads(text[text.index("{\n") :])
    assert code == 0
    assert facts["num_files"] == len(facts["fetched"]) == len(pull.state.files(KEY)) - 1
    assert facts["licence"] == "cc-by-4.0" and len(facts["dataset_hash"]) == 64
    assert not Path(output).exists() and pull.bytes_of("data/") == 0


def test_a_model_gets_a_list_of_hashes_that_weights_verify_reads(pull: Pull) -> None:
    code, text = pull.into("net", "lab/net")
    assert code == 0, text
    files = files_in(pull.folder / "net")
    assert {name: files[name] for name in MODEL} == MODEL
    stated = json.loads(files["weights.json"])
    assert stated["facts"]["repository"] == "lab/net"
    assert pull.into("net", "lab/net")[0] == 0  # weights.json is no file of another revision


def test_a_pull_that_broke_off_fetches_only_the_rest(pull: Pull, dataset: Path) -> None:
    pull.state.faults.add("status", r"GET .*rgb/validation", times=None)
    code, text = pull.into("got", SCENES)
    assert code == 2 and "same command again" in text
    pull.state.faults.rules.clear()
    pull.state.records.clear()
    assert pull.into("got", SCENES)[0] == 0
    assert files_in(pull.folder / "got") == files_in(dataset)
    assert pull.bytes_of("data/latent") == pull.bytes_of("data/rgb/train") == 0
    assert pull.bytes_of("data/rgb/validation") > 0


def test_whole_files_are_not_fetched_again(pull: Pull) -> None:
    assert pull.into("got", SCENES)[0] == 0
    pull.state.records.clear()
    assert pull.into("got", SCENES)[0] == 0
    assert pull.bytes_of("data/") == 0


def test_a_file_of_the_users_is_not_replaced(pull: Pull) -> None:
    (pull.folder / "got").mkdir()
    (pull.folder / "got" / "README.md").write_text("mine")
    code, text = pull.into("got", SCENES)
    assert code == 2 and "README.md is there with another content" in text
    assert files_in(pull.folder / "got") == {"README.md": b"mine"}


def test_two_revisions_are_not_mixed_in_one_folder(pull: Pull) -> None:
    (pull.folder / "got" / "data").mkdir(parents=True)
    (pull.folder / "got" / "data" / "older.parquet").write_text("x")
    code, text = pull.into("got", SCENES)
    assert code == 2 and "older.parquet, which this revision" in text


def test_a_shard_that_is_not_the_manifests_is_told_before_any_is_fetched(pull: Pull) -> None:
    shard = "data/rgb/train-00000-of-00001.parquet"
    data = bytearray(pull.state.files(KEY)[shard])
    data[100] ^= 1
    pull.state.commit(pull.state.repositories[KEY], {shard: bytes(data)})
    code, text = pull.into("got", SCENES)
    assert code == 2 and f"{shard} is not the file that the dataset's manifest states" in text
    assert pull.bytes_of("data/") == 0
    assert pull.into("got", f"{SCENES}@v1")[0] == 0


def test_bytes_that_arrive_altered_are_refused_and_fetched_anew(pull: Pull) -> None:
    pull.state.faults.add("alter_answer", r"GET .*train-00000-of-00001")
    code, text = pull.into("got", SCENES)
    assert code == 2 and "arrived altered" in text
    assert pull.into("got", SCENES)[0] == 0


@pytest.mark.parametrize("card", [b"# Edited on its page\n", b""])
def test_a_card_that_was_edited_on_the_hub_spoils_no_dataset(pull: Pull, card: bytes) -> None:
    pull.state.commit(pull.state.repositories[KEY], {"README.md": card})
    code, text = pull.into("got", SCENES)
    assert code == 0, text
    assert (pull.folder / "got" / "README.md").read_bytes() == card
    assert len(SceneDataset(pull.folder / "got", verify="full")) == 3
    assert not check_dataset(pull.folder / "got", sample=0, progress=silent).findings


def stranger(files: Mapping[str, bytes], path: str) -> dict[str, bytes]:
    """The dataset with a manifest that calls a shard `path`, its hashes fitting."""
    from lyra_data.engine.hashing import content_key

    content = json.loads(files["meta/manifest.json"])
    content["shards"][0]["path"] = path
    whole = {k: v for k, v in content.items() if k not in ("dataset_hash", "manifest_hash")}
    content["manifest_hash"] = content_key(whole)
    part = {k: v for k, v in whole.items() if k not in ("provenance", "dropped")}
    part["files"] = [entry for entry in part["files"] if entry["path"] != "README.md"]
    content["dataset_hash"] = content_key(part)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    return {"meta/manifest.json": text.encode()}


def test_a_manifest_of_any_size_is_not_read(pull: Pull, monkeypatch) -> None:
    monkeypatch.setattr(ranges, "MOST_WHOLE", 1000)
    for part in ((), ("--scenes", "1")):
        code, text = pull.into("got", SCENES, *part)
        assert code == 2 and "more than such a file ever has" in text
    assert pull.bytes_of("meta/") == 0


def test_a_strangers_manifest_that_names_files_outside_is_refused(pull: Pull) -> None:
    files = stranger(pull.state.files(KEY), "../../outside.parquet")
    pull.state.commit(pull.state.repositories[KEY], files)
    for part in ((), ("--scenes", "1")):
        code, text = pull.into("got", SCENES, *part)
        assert code == 2 and "lies outside its folder" in text
        assert not (pull.folder / "got").exists()


def test_a_listing_that_names_files_outside_is_refused(pull: Pull) -> None:
    pull.state.stated["README.md"] = {"rfilename": "../README.md"}
    code, text = pull.into("got", SCENES)
    assert code == 2 and "names a file outside the folder" in text
    assert not (pull.folder / "README.md").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lab/nothing",), "no such dataset, model or space"),
        ((f"{SCENES}@v9",), "has no revision 'v9'"),
        (("lab/net", "--type", "dataset"), "it is a model, not a dataset"),
        (("lab/net", "--scenes", "2"), "a model has no scenes"),
        (("just-a-name",), "neither OWNER/NAME[@TAG] nor a short name"),
        (("lab/../scenes",), "neither OWNER/NAME[@TAG] nor a short name"),
        ((SCENES, "--scenes", "no-such-*"), "fits no scene"),
        ((SCENES, "--scenes", "0"), "at least 1"),
        ((SCENES, "--split", "test"), "called 'test'"),
        ((SCENES, "--trajectories", "sideways"), "called 'sideways'"),
        ((SCENES, "--modalities", "sound"), "no modality 'sound'"),
        ((SCENES, "--min-quality", "beauty=3"), "no number of a view's quality"),
        ((SCENES, "--where", "known_fraction >"), "cannot be read"),
        ((SCENES, "--max-gb", "0.000001"), "the first scene, a, has"),
        ((SCENES, "--where", "width > 9000"), "no view is left"),
    ],
)
def test_what_cannot_be_pulled_is_said(pull: Pull, arguments, words: str) -> None:
    code, text = pull.into("got", *arguments)
    assert code == 2 and words in text
    assert not (pull.folder / "got").exists()


def test_a_private_dataset_needs_a_token(pull: Pull, dataset: Path) -> None:
    pull.state.repositories[KEY].private = True
    code, text = pull.into("got", SCENES)
    assert code == 2 and "it is private" in text and "hf auth login" in text
    pull.token = TOKEN
    assert pull.into("got", SCENES)[0] == 0
    assert TOKEN not in text


@pytest.mark.parametrize("part", [(), ("--scenes", "a")])
def test_a_gated_dataset_says_what_to_click(pull: Pull, part) -> None:
    pull.state.repositories[KEY].gated = True
    pull.token = OTHER_TOKEN
    code, text = pull.into("got", SCENES, *part)
    assert code == 2
    assert f"accept the licence at {pull.endpoint}/datasets/{SCENES}" in text.replace("\n", " ")
    assert OTHER_TOKEN not in text


@pytest.mark.parametrize("part", [(), ("--scenes", "a")])
def test_without_network_the_message_says_so(pull: Pull, part) -> None:
    pull.endpoint = "http://127.0.0.1:9"  # nobody listens there
    code, text = pull.into("got", SCENES, *part)
    assert code == 2 and "cannot be reached" in text and "same command again" in text


def test_weights_have_one_way_to_the_disk(pull: Pull) -> None:
    pull.state.add("nvidia/Lyra", {"lyra_static.pt": b"1" * 5000})
    code, text = pull.into("lyra", "lyra")
    assert code == 0, text
    assert (pull.folder / "lyra" / "lyra_static.pt").read_bytes() == b"1" * 5000
    assert (pull.folder / "lyra" / "weights.json").is_file()


def test_the_token_goes_to_no_other_host(pull: Pull) -> None:
    pull.token = TOKEN
    assert pull.into("one", SCENES)[0] == 0
    assert pull.into("two", SCENES, "--scenes", "a")[0] == 0
    assert pull.state.records.served and pull.state.records.tokens_elsewhere == []
