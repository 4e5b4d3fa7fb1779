"""What the Hub refuses, in our words, and tokens in none of them."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from lyra_data.engine.errors import BusyError
from lyra_data.engine.locks import held_lock
from lyra_data.hub.errors import UploadError
from lyra_data.hub.upload_errors import scrubbed
from lyra_data.sharing.publishing import changes, write_receipt
from tests.hub.publications import (
    CARD,
    KEY,
    NAME,
    Publisher,
    contents,
    many_files,
    publication,
    publisher,
)
from tests.hub.server import OTHER_TOKEN, READ_TOKEN, TOKEN

DATA = bytes(range(256)) * 10


def refusal(run: Publisher, ours) -> UploadError:
    with pytest.raises(UploadError) as caught:
        run(ours)
    assert caught.value.where and caught.value.fix
    for token in (TOKEN, READ_TOKEN, OTHER_TOKEN):
        assert token not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    ("token", "words", "fix"),
    [
        (None, "you are not logged in", "hf auth login"),
        ("hf_unknown", "does not know your token", "hf auth login"),
        (READ_TOKEN, "your token may only read", "write access"),
        (OTHER_TOKEN, "you are stranger, who may not write under lab", "one of: stranger"),
    ],
)
def test_who_may_not_write_is_told_before_anything_is_sent(
    hub, hub_state, tmp_path, token, words, fix
):
    with publisher(hub_state, hub, tmp_path, token=token) as run:
        error = refusal(run, publication({"a.parquet": DATA}))
    assert words in error.what and fix in str(error.fix)
    assert hub_state.repositories == {}


def test_a_repository_of_another_type_is_not_what_is_meant(run, hub_state):
    hub_state.add(NAME, {}, kind="model")
    error = refusal(run, publication({"a.parquet": DATA}))
    assert error.what == "is a model, not a dataset"
    assert "https://huggingface.co/new-dataset" in str(error.fix)
    assert list(hub_state.repositories) == [NAME]


def test_what_is_meant_to_be_private_does_not_go_into_a_public_repository(run, hub_state):
    ours = publication({"a.parquet": DATA}, private=True)
    repository = hub_state.add(NAME, {}, kind="dataset")
    assert refusal(run, ours).what.startswith("is public")
    repository.private = True
    run(ours)
    assert run.held() == contents(ours)


def test_a_private_repository_is_made_private(run, hub_state):
    run(publication({"a.parquet": DATA}, private=True))
    assert hub_state.repositories[KEY].private


@pytest.mark.parametrize("kind", ["model", "space"])
def test_models_and_spaces_are_published_alike(run, hub_state, kind):
    ours = publication({"index.html": b"<p>"}, repository_type=kind)
    run(ours)
    key = {"model": NAME, "space": f"spaces/{NAME}"}[kind]
    assert run.held("v1.0.0", key) == contents(ours)


def test_a_card_whose_header_the_hub_refuses_is_told(run, hub_state):
    ours = publication({"a.parquet": DATA, "README.md": b"---\nlicense: [\n---\n"})
    assert "Invalid metadata in README.md" in refusal(run, ours).what
    assert hub_state.records.received == {}
    assert run.held() == {}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (413, "too large"),
        (403, "your token may not write there"),
        (402, "may not write there"),
        (400, "the Hub answers 400: a fault of this test"),
    ],
)
def test_a_commit_that_is_refused(run, hub_state, status, words):
    fault = hub_state.faults.add("status", "/commit/", status=status, times=None)
    assert words in refusal(run, publication({"a.parquet": DATA})).what
    assert fault.happened == 1


def test_space_that_is_used_up_is_told(run, hub_state, monkeypatch):
    from tests.hub.server import storage
    from tests.hub.server.refusals import RefusalError

    def full(*_: object) -> None:
        raise RefusalError(403, "Private repository storage limit reached, please upgrade")

    monkeypatch.setattr(storage, "_batch_answer", full)
    error = refusal(run, publication({"a.parquet": DATA}))
    assert "the space that your account has on the Hub is used up" in error.what
    assert "billing" in str(error.fix)


def test_a_gitignore_on_the_hub_leaves_nothing_out_in_silence(run, hub_state, monkeypatch):
    from huggingface_hub import HfApi

    usual = HfApi.preupload_lfs_files

    def ignoring(self, *arguments, **settings):
        usual(self, *arguments, gitignore_content="*.parquet", **settings)

    monkeypatch.setattr(HfApi, "preupload_lfs_files", ignoring)
    error = refusal(run, publication({"a.parquet": DATA}))
    assert error.what == "the repository's .gitignore leaves out a.parquet"


def test_two_runs_at_once_are_not_allowed(run, tmp_path):
    with held_lock(run.scratch, "publish-dataset-lab--scenes"), pytest.raises(BusyError):
        run(publication({}))


def test_offline_is_told(run, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "is_offline_mode", lambda: True)
    assert "HF_HUB_OFFLINE" in refusal(run, publication({})).what


def test_a_token_is_in_no_text_and_no_file(run, hub_state, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(changes, "FILES_A_COMMIT", 10)
    hub_state.faults.add("status", "/commit/", status=503, times=2)
    hub_state.faults.add("cut_answer", "/lfs/upload", times=2)
    hub_state.faults.add("status", "/tag/", status=403)
    ours = publication(many_files(15))
    refusal(run, ours)
    write_receipt(run(ours), tmp_path / "receipt.json")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 3
    for path in written:
        assert TOKEN.encode() not in path.read_bytes(), path
    assert "503" in caplog.text
    assert TOKEN not in caplog.text
    assert hub_state.records.tokens_elsewhere == []


@pytest.mark.parametrize(
    "text",
    [
        "authorization: Bearer abc.def",
        "token hf_abcDEF123456 is bad",
        "PUT https://s3.example.org/x?X-Amz-Signature=abc&sig=hf_abcDEF123456",
        "api_org_abcDEF123456",
    ],
)
def test_texts_of_others_lose_their_secrets(text):
    assert "***" in scrubbed(text)
    assert not any(secret in scrubbed(text) for secret in ("abc", "DEF"))


def test_the_plan_says_what_would_be_done_and_does_nothing(run, hub_state, monkeypatch):
    monkeypatch.setattr(changes, "FILES_A_COMMIT", 10)
    ours = publication(many_files(25))
    plan = run.plan(ours)
    assert (plan.exists, plan.tag, plan.unknown_because) == (False, "free", None)
    assert {file.state for file in plan.files} == {"new"}
    assert plan.bytes_to_send == ours.size
    assert plan.num_commits == 4 and plan.seconds_by_limits == 0
    assert hub_state.repositories == {} and not run.scratch.exists()
    hub_state.records.clear()
    run(ours)
    assert len(hub_state.records.calls) <= plan.num_calls <= 1.5 * len(hub_state.records.calls)
    assert len(hub_state.records.commits) - 1 == plan.num_commits  # the Hub made the first one
    assert run.plan(ours).tag == "same"
    assert run.plan(ours).num_commits == 0
    other = replace(ours, files=ours.files[:-1])
    assert run.plan(other).tag == "taken"
    (gone,) = run.plan(replace(other, tag="v2")).removed
    assert gone == ours.files[-1].path
    changed = publication({**many_files(25), "README.md": CARD + b"."}, tag="v2")
    states = {file.path: file.state for file in run.plan(changed).files}
    assert [path for path, state in states.items() if state != "there"] == ["README.md"]
    assert states["README.md"] == "changed"
    assert run.plan(changed).num_commits == 1


def test_the_plan_counts_what_the_limits_make_it_take(run):
    ours = publication({f"{folder}/{n}": b"" for folder in "ab" for n in range(9_000)})
    plan = run.plan(ours)
    assert plan.num_commits == 182
    assert plan.seconds_by_limits == 3610


def test_a_plan_without_a_network_says_that_all_counts_as_new(hub_state, tmp_path):
    hub_state.endpoint = "http://127.0.0.1:9"
    with publisher(hub_state, hub_state.endpoint, tmp_path) as run:
        plan = run.plan(publication({"a.parquet": DATA}))
    assert plan.unknown_because is not None and "cannot be reached" in plan.unknown_because
    assert {file.state for file in plan.files} == {"new"}


class Bar:
    """Keeps what progress is told."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self.steps: list[int] = []
        self.now = ""

    def start(self, description: str, total: int, unit: str) -> None:
        self.now = f"{description} {unit}"
        self.totals[self.now], self.done[self.now] = total, 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done[self.now] += count
        self.steps.append(count)

    def finish(self) -> None:
        pass


@pytest.mark.parametrize("xet", [False, True])
def test_bytes_are_told_while_they_are_read_and_once_though_a_file_is_read_twice(
    hub, hub_state, tmp_path, xet
):
    import random

    path = tmp_path / "a.parquet"
    path.write_bytes(random.Random(1).randbytes(20 * 2**20))
    if not xet:
        hub_state.faults.add("cut_request", "/lfs/upload", num_bytes=15 * 2**20)
    from lyra_data.sharing.publishing import files_of_folder

    notes = tmp_path / "notes.txt"  # travels inside the commit, for which it is read again
    notes.write_text("notes\n" * 500_000)
    names = ("a.parquet", "notes.txt")
    files = tuple(file for file in files_of_folder(tmp_path) if file.path in names)
    ours = replace(publication({}), files=files)
    bar = Bar()
    with publisher(hub_state, hub, tmp_path, xet=xet) as run:
        run(ours, bar)
        assert run.held() == {"a.parquet": path.read_bytes(), "notes.txt": notes.read_bytes()}
    assert bar.totals == bar.done
    assert bar.totals["Uploading MiB"] == 23
    assert sum(step > 0 for step in bar.steps) > 1
