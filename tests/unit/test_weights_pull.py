"""Pulling released weights, from a real HTTP server with the real client in a child process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lyra_data.engine.errors import CorruptDataError
from lyra_data.models.weights.manifest import FileRecord, Manifest
from lyra_data.models.weights.verify import verify_weights
from tests.goldens import REPOSITORY
from tests.hub.server import TOKEN, HubState, client_environment, running_hub

MOGE = "Ruicheng/moge-vitl"
WEIGHTS = bytes(range(256)) * 50_000
CHUNK = 10 * 2**20
"""The Hub's client hands on bytes in pieces of this size; a begun piece is lost."""
CARD = {"license": "other", "license_name": "a-licence", "license_link": "https://example.org/it"}


@dataclass
class Pull:
    """The command in a folder of its own, against the hub."""

    endpoint: str
    folder: Path
    state: HubState

    def start(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        """HF_ENDPOINT is read when the client is imported, so a child is needed."""
        settings = client_environment(self.endpoint, self.folder / "hf_home")
        settings["LYRA_WEIGHTS"] = str(self.folder / "weights")
        return subprocess.Popen(
            [sys.executable, "-m", "stages.cli", "weights", "pull", *options],
            cwd=self.folder,
            env=settings | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *options: str, **environment: str) -> tuple[int, str]:
        child = self.start(*options, **environment)
        out, err = child.communicate(timeout=120)
        assert "Traceback" not in err, err
        return child.returncode, out + err

    def file(self, name: str, *, of: str = "moge") -> Path:
        return self.folder / "weights" / "downloads" / of / name


@pytest.fixture
def pull(tmp_path: Path) -> Iterator[Pull]:
    state = HubState()
    state.add(MOGE, {"model.pt": WEIGHTS, "config.json": b'{"a": 1}'}, card=CARD)
    with running_hub(state) as endpoint:
        yield Pull(endpoint, tmp_path, state)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_size_and_licence_are_shown_and_nothing_is_fetched_without_consent(pull):
    code, text = pull("moge")
    assert code == 2
    assert "a-licence (https://example.org/it)" in text
    assert "12.8 MB  model.pt" in text
    assert "--yes" in text
    assert pull.state.records.served == []
    assert not pull.file("").exists()


def test_files_arrive_whole_with_a_manifest_that_verify_accepts(pull):
    code, text = pull("moge", "--yes", HF_TOKEN=TOKEN)
    assert code == 0, text
    assert text.index("a-licence") < text.index("Downloading")
    assert pull.file("model.pt").read_bytes() == WEIGHTS
    assert pull.file("config.json").read_bytes() == b'{"a": 1}'
    assert names_in(pull.file("")) == ["config.json", "model.pt", "weights.json"]
    facts = json.loads(pull.file("weights.json").read_text())["facts"]
    assert (facts["repository"], facts["revision"]) == (MOGE, pull.state.repositories[MOGE].head)
    command = [sys.executable, "-m", "stages.cli", "weights", "verify", str(pull.file(""))]
    assert subprocess.run(command, cwd=REPOSITORY, capture_output=True).returncode == 0


def test_the_token_goes_to_no_other_host(pull):
    assert pull("moge", "--yes", HF_TOKEN=TOKEN)[0] == 0
    assert pull.state.records.served
    assert pull.state.records.tokens_elsewhere == []


def test_whole_files_are_not_fetched_again(pull):
    assert pull("moge", "--yes")[0] == 0
    pull.file("config.json").write_bytes(b"changed!")
    fetched = len(pull.state.records.served)
    code, text = pull("moge", "--yes")
    assert code == 0
    assert "model.pt  is there, whole" in text
    assert len(pull.state.records.served) == fetched
    assert pull.file("config.json").read_bytes() == b'{"a": 1}'


def test_a_download_that_was_cut_goes_on_where_it_stopped(pull):
    pull.state.faults.cut_after = 11_000_000
    code, text = pull("moge", "--yes")
    assert code == 2
    assert "503" in text and "same command again" in text
    assert not pull.file("model.pt").exists()
    pull.state.faults.cut_after = None
    pull.state.faults.is_cut.clear()
    code, text = pull("moge", "--yes")
    assert code == 0, text
    assert pull.state.records.served == [
        ("model.pt", 0, 11_000_000),
        ("model.pt", CHUNK, len(WEIGHTS) - CHUNK),
    ]
    assert pull.file("model.pt").read_bytes() == WEIGHTS


def test_a_killed_download_goes_on_where_it_stopped(pull):
    pull.state.faults.cut_after, pull.state.faults.stall = 11_000_000, True
    child = pull.start("moge", "--yes")
    assert pull.state.faults.is_cut.wait(60)
    unfinished = pull.file(".unfinished")
    while not any(path.stat().st_size == CHUNK for path in unfinished.glob("model.pt*")):
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.communicate()
    pull.state.faults.cut_after, pull.state.faults.stall = None, False
    pull.state.faults.is_cut.clear()
    assert pull("moge", "--yes")[0] == 0
    assert pull.state.records.served[-1][1] == CHUNK
    assert pull.file("model.pt").read_bytes() == WEIGHTS


def test_two_pulls_into_one_folder_do_not_mix(pull):
    pull.state.faults.cut_after, pull.state.faults.stall = 11_000_000, True
    child = pull.start("moge", "--yes")
    assert pull.state.faults.is_cut.wait(60)
    code, text = pull("moge", "--yes")
    child.kill()
    child.communicate()
    assert code == 2
    assert "another process is fetching" in text


def test_bytes_that_arrive_altered_are_refused(pull):
    pull.state.faults.alter = True
    code, text = pull("moge", "--yes")
    assert code == 2
    assert "model.pt arrived altered" in text
    assert not pull.file("model.pt").exists()
    pull.state.faults.alter = False
    assert pull("moge", "--yes")[0] == 0


def test_an_answer_without_end_is_cut_at_the_size_that_the_listing_states(pull):
    pull.state.faults.endless = True
    code, text = pull("moge", "--yes")
    assert code == 2
    assert f"model.pt is longer than the {len(WEIGHTS)} bytes" in " ".join(text.split())
    assert not pull.file("model.pt").exists()
    assert sum(size for _, _, size in pull.state.records.served) < len(WEIGHTS) + 6 * CHUNK
    pull.state.faults.endless = False
    assert pull("moge", "--yes")[0] == 0


@pytest.mark.parametrize(
    "stated",
    [
        {"rfilename": "../../escaped.txt"},
        {"rfilename": "a/../../../escaped.txt"},
        {"rfilename": "/escaped.txt"},
        {"rfilename": ""},
        {"blobId": "/../../escaped"},
    ],
)
def test_a_listing_that_leads_outside_the_folder_is_refused(pull, stated):
    pull.state.stated["config.json"] = stated
    code, text = pull("moge", "--yes")
    assert code == 2
    assert "names a file outside the folder" in text and "nothing was fetched" in text
    assert pull.state.records.served == []
    assert not list(pull.folder.rglob("*escaped*")) and not pull.file("").exists()


@pytest.mark.parametrize("name", ["../elsewhere.txt", "a/../../b", "/etc/hostname", ""])
def test_a_manifest_that_leads_outside_its_folder_is_refused(tmp_path, name):
    Manifest("download", {name: FileRecord(0, "0" * 64)}).write(tmp_path)
    with pytest.raises(CorruptDataError, match="names a file outside its folder"):
        verify_weights(tmp_path)


def test_names_with_dots_that_stay_inside_are_not_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "..b").write_bytes(b"")
    record = FileRecord.of(tmp_path / "a" / "..b")
    Manifest("download", {"a/..b": record}).write(tmp_path)
    assert verify_weights(tmp_path).files == {"a/..b": record}


@pytest.mark.parametrize(
    ("token", "words"), [("", "you are not logged in"), (TOKEN, "your token has no access yet")]
)
def test_a_gated_repository_names_the_page_and_the_login(pull, token, words):
    pull.state.repositories[MOGE].gated = True
    code, text = pull("moge", "--yes", **({"HF_TOKEN": token} if token else {}))
    assert code == 2
    assert words in text
    assert f"{pull.endpoint}/{MOGE}" in text
    assert "hf auth login" in text


def test_a_token_that_the_hub_does_not_know_is_told(pull):
    code, text = pull("moge", "--yes", HF_TOKEN="hf_wrong")
    assert code == 2
    assert "does not know your token" in text
    assert "hf auth login" in text


def test_a_repository_that_is_not_there_is_told(pull):
    code, text = pull("depth-pro", "--yes")
    assert code == 2
    assert "no such repository" in text and "apple/DepthPro-hf" in text


def test_a_revision_that_is_not_there_is_told(pull):
    code, text = pull("moge", "--revision", "v9", "--yes")
    assert code == 2
    assert "no revision 'v9'" in text


def test_an_unknown_name_lists_the_known_ones(pull):
    code, text = pull("gen3", "--yes")
    assert code == 2
    assert "did you mean 'gen3c'" in text and "cosmos-tokenizer" in text


def test_being_offline_is_told(pull):
    code, text = pull("moge", "--yes", HF_HUB_OFFLINE="1")
    assert code == 2
    assert "HF_HUB_OFFLINE" in text


def test_a_hub_that_cannot_be_reached_is_told(pull):
    code, text = pull("moge", "--yes", HF_ENDPOINT="http://127.0.0.1:1")
    assert code == 2
    assert "cannot be reached" in text


def test_files_of_other_frameworks_are_left_out(pull):
    files = {"config.json": b"{}", "pytorch_model.bin": WEIGHTS, "tf_model.h5": WEIGHTS}
    pull.state.add("google-t5/t5-11b", files, card={"license": "apache-2.0"})
    code, text = pull("t5", "--yes", "--output", "t5")
    assert code == 0, text
    assert "apache-2.0" in text
    assert names_in(pull.folder / "t5") == [
        "config.json",
        "pytorch_model.bin",
        "weights.json",
    ]


def test_json_puts_one_object_on_standard_output(pull):
    child = pull.start("moge", "--yes", "--json")
    out, err = child.communicate(timeout=120)
    assert json.loads(out)["fetched"] == ["config.json", "model.pt"]
    assert "a-licence" in err


def test_a_disk_that_is_too_small_is_told_before_fetching(pull, monkeypatch, tmp_path):
    import shutil

    from lyra_data.engine.errors import StorageError
    from lyra_data.hub.download import require_space
    from lyra_data.hub.listing import RemoteFile

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10 * 2**20))
    file = RemoteFile("model.pt", 11 * 2**20, "0" * 64, None)
    with pytest.raises(StorageError, match=r"11.0 MiB are needed, 10.0 MiB are free"):
        require_space([file], tmp_path / "new" / "folder")
    begun = tmp_path / ".unfinished" / f"model.pt.{'0' * 16}"
    begun.parent.mkdir()
    begun.write_bytes(bytes(2**20))
    require_space([file], tmp_path)
