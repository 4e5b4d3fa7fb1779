"""Models are found where they lie, named exactly, and never downloaded unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from lyra_data.engine.errors import ParamsError
from lyra_data.models.folders import fetching_command, find_model
from lyra_data.models.places import find_weights, weights_folder
from lyra_data.models.weights.manifest import Manifest, hash_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub, and no network behind it."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    return cache


def put_in_cache(cache: Path, model: str) -> Path:
    repository = cache / f"models--{model.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return snapshot


def put_in_folder(folder: Path, content: str = "{}") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(content)
    return folder


def test_a_folder_is_found_from_the_projects_root_and_named_by_its_content(tmp_path: Path) -> None:
    first = put_in_folder(tmp_path / "a" / "model")
    put_in_folder(tmp_path / "b" / "model", "changed")
    found = find_model("model", None, root=tmp_path / "a", where="t")
    assert found.path == first
    other = find_model("model", None, root=tmp_path / "b", where="t")
    assert found.identity.startswith("model@weights-")
    assert found.identity != other.identity
    assert find_model(str(first), None, root=tmp_path / "b", where="t").identity == found.identity


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_model_in_the_hubs_cache_is_found_and_named_by_its_commit(
    hub_cache: Path, tmp_path: Path, revision: str | None
) -> None:
    snapshot = put_in_cache(hub_cache, "owner/depth")
    found = find_model("owner/depth", revision, root=tmp_path, where="t")
    assert found.path == snapshot
    assert found.identity == f"owner/depth@{COMMIT}"


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_pulled_model_is_found_from_every_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LYRA_WEIGHTS", raising=False)
    shared = tmp_path / "cache" / "lyra-data" / "weights"
    if by_variable:
        shared = tmp_path / "disk"
        monkeypatch.setenv("LYRA_WEIGHTS", str(shared))
    assert weights_folder() == shared
    folder = put_in_folder(shared / "downloads" / "depth-pro")
    facts = {"repository": "apple/DepthPro-hf", "revision": "feed"}
    Manifest("download", hash_files(folder), facts=facts).write(folder)
    for project in ("a", "b"):
        found = find_model("apple/DepthPro-hf", None, root=tmp_path / project, where="t")
        assert (found.path, found.identity) == (folder, "apple/DepthPro-hf@feed")


def test_the_projects_own_weights_go_before_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYRA_WEIGHTS", str(tmp_path / "disk"))
    root = tmp_path / "project"
    assert find_weights("weights/gen3c", root) == root / "weights" / "gen3c"  # nowhere
    put_in_folder(tmp_path / "disk" / "gen3c" / "vae")
    assert find_weights("weights/gen3c/vae", root) == tmp_path / "disk" / "gen3c" / "vae"
    put_in_folder(root / "weights" / "gen3c" / "vae")
    assert find_weights("weights/gen3c/vae", root) == root / "weights" / "gen3c" / "vae"
    for path in ("gen3c/vae", "other/gen3c", "weights/../../gen3c", str(tmp_path / "absent")):
        assert find_weights(path, root) == root / path


def test_a_pulled_model_goes_before_the_hubs_cache(hub_cache: Path, tmp_path: Path) -> None:
    put_in_cache(hub_cache, "apple/DepthPro-hf")
    folder = put_in_folder(tmp_path / "weights" / "downloads" / "depth-pro")
    facts = {"repository": "apple/DepthPro-hf", "revision": "feed"}
    Manifest("download", hash_files(folder), facts=facts).write(folder)
    found = find_model("apple/DepthPro-hf", None, root=tmp_path, where="t")
    assert (found.path, found.identity) == (folder, "apple/DepthPro-hf@feed")
    pinned = find_model("apple/DepthPro-hf", COMMIT, root=tmp_path, where="t")
    assert pinned.identity == f"apple/DepthPro-hf@{COMMIT}"


def test_a_model_that_is_nowhere_is_refused_without_asking_the_network(
    hub_cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(ParamsError) as caught:
        find_model("owner/depth", "v2", root=tmp_path, where="annotate.depth")
    assert caught.value.where == "annotate.depth"
    assert "'owner/depth' is not on this machine at revision v2" in caught.value.what
    assert "`hf download owner/depth --revision v2`" in str(caught.value.fix)
    assert "https://huggingface.co/owner/depth" in str(caught.value.fix)
    assert not hub_cache.exists()


@pytest.mark.parametrize("model", ["no/such/folder", "nofolder", "/nowhere/at/all", "a b/c"])
def test_what_is_neither_folder_nor_repository_is_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(ParamsError, match=f"model '{model}' is no folder on this disk"):
        find_model(model, None, root=tmp_path, where="t")


def test_a_revision_of_a_folder_is_refused(tmp_path: Path) -> None:
    put_in_folder(tmp_path / "model")
    with pytest.raises(ParamsError, match="revision 'v1' of a folder"):
        find_model("model", "v1", root=tmp_path, where="t")


@pytest.mark.parametrize(
    ("model", "command"),
    [
        ("Ruicheng/moge-vitl", "lyra-data weights pull moge"),
        ("apple/DepthPro-hf", "lyra-data weights pull depth-pro"),
        ("black-forest-labs/FLUX.1-dev", "hf download black-forest-labs/FLUX.1-dev"),
    ],
)
def test_the_command_that_gets_a_model_is_ours_where_we_know_it_by_name(
    model: str, command: str
) -> None:
    assert fetching_command(model, None) == command
