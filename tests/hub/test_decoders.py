"""Decoders on the Hub: loaded by name, at a revision, from the cache where there is no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import constants

from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.hub.errors import DownloadError
from lyra_model import load_decoder
from lyra_model.phases.checkpoint_locations import HUB, checkpoint_folder, hub_uri
from lyra_model.phases.train_params import TrainParams
from lyra_model.reconstruction.assembly import _folder_of
from stages.verbs.reconstruct_inputs import Request, _changes
from tests.hub.server import OTHER_TOKEN, TOKEN, HubState, client_pointed_at, running_hub
from tests.unit.test_trained_decoder import config, saved

NAME = "tester/decoder"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("models") / "demo", config())


@pytest.fixture
def state(folder: Path) -> HubState:
    """A Hub with the decoder at v1, and something else on main since."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    state = HubState()
    repository = state.add(NAME, files | {"README.md": b"# A decoder\n"})
    repository.history.tags["v1"] = repository.head
    state.commit(repository, {}, deleted=files, title="gone")
    state.add("tester/nested", {f"demo/{name}": data for name, data in files.items()}, private=True)
    return state


@pytest.fixture
def home(state: HubState, tmp_path: Path) -> Iterator[Path]:
    with (
        running_hub(state) as endpoint,
        client_pointed_at(endpoint, tmp_path / "home", token=TOKEN),
    ):
        yield tmp_path


def weights(decoder) -> dict[str, torch.Tensor]:
    return decoder.network.state_dict()


def test_a_decoder_of_the_hub_is_the_one_in_the_folder(state, home, folder):
    expected = weights(load_decoder(folder, device="cpu"))
    for name in (f"{NAME}@v1", f"hf://{NAME}@v1", "hf://tester/nested/demo"):
        loaded = weights(load_decoder(name, device="cpu"))
        assert loaded.keys() == expected.keys()
        assert all(torch.equal(loaded[key], expected[key]) for key in expected), name
    assert not any(name == "README.md" for _, name in state.records.bytes_served)
    assert state.records.tokens_elsewhere == []


def test_a_decoder_is_fetched_once_and_is_there_without_a_network(state, home, monkeypatch):
    load_decoder(f"{NAME}@v1", device="cpu")
    served = state.records.total_served()
    load_decoder(f"{NAME}@v1", device="cpu")
    assert state.records.total_served() == served
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    load_decoder(f"{NAME}@v1", device="cpu")
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
        load_decoder(f"{NAME}@main", device="cpu")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tester/nothing", "no such repository"),
        (f"{NAME}@v9", "no revision 'v9'"),
        (NAME, r"holds no config.json"),
        ("hf://tester/nested", r"holds no config.json"),
    ],
)
def test_what_is_no_decoder_on_the_hub_is_told(home, name, words):
    with pytest.raises(DownloadError, match=words) as caught:
        load_decoder(name)
    assert caught.value.where is not None and caught.value.where.startswith(constants.ENDPOINT)


def test_a_private_decoder_of_somebody_else_is_told_without_the_token(state, home, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", OTHER_TOKEN)
    with pytest.raises(DownloadError, match="private") as caught:
        load_decoder("hf://tester/nested/demo")
    assert OTHER_TOKEN not in str(caught.value)


def test_a_decoder_that_was_altered_on_the_hub_is_refused(state, home):
    repository = state.repositories[NAME]
    files = state.files(NAME, "v1")
    files["model.safetensors"] = files["model.safetensors"][:-1] + b"?"
    state.commit(repository, files)
    with pytest.raises(CorruptDataError, match="altered"):
        load_decoder(f"hf://{NAME}")


def test_a_folder_comes_before_the_hub_and_a_missing_one_is_no_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("outputs/models").mkdir(parents=True)
    assert checkpoint_folder("outputs/models") == Path("outputs/models")
    for missing in ("outputs/demo", Path("you/model"), "./you/model", "/you/model", "demo"):
        assert hub_uri(missing) is None, missing
        with pytest.raises(InputError, match="no such folder"):
            checkpoint_folder(missing)
    assert hub_uri("you/model@v1") == "hf://you/model@v1"
    for uri in ("hf://datasets/you/model", "hf://buckets/you/model"):
        with pytest.raises(InputError, match="no address of a model"):
            checkpoint_folder(uri)


@pytest.mark.parametrize("dry_run", [False, True])
def test_reconstruct_takes_weights_of_the_hub_at_one_commit(state, home, dry_run):
    request = Request(
        inputs=(),
        prompt=None,
        output=None,
        changes={"weights": f"{HUB}{NAME}@v1"},
        steps=None,
        pixels=None,
        render_path=None,
        max_frames=None,
        preset="",
        project=None,
        dry_run=dry_run,
        max_bytes=None,
    )
    stated = _changes(request, SimpleNamespace(section={}))["weights"]  # type: ignore[arg-type]
    if dry_run:
        assert stated == f"{HUB}{NAME}@v1" and state.records.total_served() == 0
        return
    folder = Path(stated)
    assert folder.is_absolute() and folder.name == state.repositories[NAME].history.tags["v1"]
    assert load_decoder(folder, device="cpu").codec_name == "dct"


def test_params_may_name_weights_of_the_hub(home):
    folder = _folder_of(f"{HUB}{NAME}@v1", TrainParams.model_construct(), home, home)
    assert (folder / "model.safetensors").is_file()
