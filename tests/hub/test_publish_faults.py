"""Publishing through lost answers, refusals for a while, limits, and others who write as well."""

from __future__ import annotations

import shutil

import pytest

from lyra_data.engine.errors import InputError
from lyra_data.hub.errors import UploadError
from lyra_data.sharing.publishing import PublishedFile, changes
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
from tests.hub.server import OTHER_TOKEN, HubState, client_pointed_at

DATA = bytes(range(256)) * 10


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(changes, "FILES_A_COMMIT", 10)


class KilledError(BaseException):
    """Ends a run as a killed process ends: nothing of ours takes notice."""


class KillAfter:
    """Kills a run at its n-th step of progress."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def start(self, description: str, total: int, unit: str) -> None:
        pass

    def advance(self, count: int = 1, note: str = "") -> None:
        self.steps -= 1
        if self.steps == 0:
            raise KilledError

    def finish(self) -> None:
        pass


def killed(run: Publisher, ours, *, steps: int) -> None:
    with pytest.raises(KilledError):
        run(ours, KillAfter(steps))


STEPS = [
    f"POST /api/{KEY}/commit/refs/pr/1",
    "POST /api/repos/create",
    f"POST /api/{KEY}/discussions$",
    f"POST /api/{KEY}/discussions/1/status",
    f"POST /api/{KEY}/discussions/1/merge",
    f"POST /api/{KEY}/tag",
    f"POST /api/{KEY}/preupload",
    "objects/batch",
    f"GET /api/{KEY}/tree",
    "PUT /lfs/upload",
    "POST /lfs/verify",
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["lose_answer", "cut_answer", "status", "cut_request"])
def test_each_step_is_done_once_though_it_fails_twice(run, hub_state, step, kind):
    fault = hub_state.faults.add(kind, step, times=2, status=502)
    ours = publication(many_files(12))
    run(ours)
    assert fault.happened in (1, 2)  # once where it is seen that it was done
    assert run.held() == run.held("v1.0.0") == contents(ours)
    assert hub_state.records.resent == {}
    history = hub_state.repositories[KEY].history
    assert [it.status for it in history.discussions.values()] == ["merged"]
    assert len(hub_state.records.heads(KEY, "main")) == 2
    assert len(hub_state.records.heads(KEY, "refs/pr/1")) == 2


@pytest.mark.parametrize("kind", ["lose_answer", "cut_answer", "status"])
def test_one_commit_is_made_once_though_its_answer_is_lost(run, hub_state, kind):
    hub_state.faults.add(kind, "/commit/main", times=2)
    run(publication({"a.parquet": DATA}))
    assert len(hub_state.records.heads(KEY, "main")) == 2


def test_the_hub_is_given_the_time_that_it_asks_for(run, hub_state):
    hub_state.faults.add("status", "/commit/", status=429, retry_after=1800, times=1)
    begin = hub_state.clock.now()
    run(publication({"a.parquet": DATA}))
    assert 1800 <= hub_state.clock.now() - begin < 1830


def test_a_hub_that_stays_away_is_given_up_with_words_and_the_next_run_goes_on(run, hub_state):
    fault = hub_state.faults.add("status", "/commit/refs/pr/1", times=None, after=1)
    begin = hub_state.clock.now()
    ours = publication(many_files(15))
    with pytest.raises(UploadError) as caught:
        run(ours)
    assert "answers 503" in caught.value.what
    assert caught.value.fix is not None and "run the same command again" in caught.value.fix
    assert 600 < hub_state.clock.now() - begin < 1000
    hub_state.faults.rules.remove(fault)
    run(ours)
    assert run.held() == contents(ours)
    assert hub_state.records.resent == {}


def test_a_network_that_was_never_there_is_told_after_a_minute(hub_state, tmp_path):
    hub_state.endpoint = "http://127.0.0.1:9"
    with publisher(hub_state, hub_state.endpoint, tmp_path) as run:
        begin = hub_state.clock.now()
        with pytest.raises(UploadError, match="cannot be reached"):
            run(publication({"a.parquet": DATA}))
    assert hub_state.clock.now() - begin < 70


@pytest.mark.parametrize("steps", range(1, 8))
@pytest.mark.parametrize("keeps_state", [True, False])
def test_a_killed_run_is_finished_by_the_next_one(run, hub_state, steps, keeps_state):
    ours = publication(many_files(25))
    for _ in range(2):
        try:
            run(ours, KillAfter(steps))
        except KilledError:
            assert [len(main) for main in hub_state.records.heads(KEY, "main")][1:] in ([], [27])
        if not keeps_state:
            shutil.rmtree(run.scratch, ignore_errors=True)
    run(ours)
    assert run.held() == run.held("v1.0.0") == contents(ours)
    assert hub_state.records.resent == {}
    assert len(hub_state.repositories[KEY].history.discussions) == 1
    assert len(hub_state.records.heads(KEY, "main")) == 2


def test_a_version_that_was_merged_and_not_tagged_is_tagged_where_it_was_merged(run, hub_state):
    ours = publication(many_files(12))
    fault = hub_state.faults.add("status", "/tag/", times=None)
    with pytest.raises(UploadError):
        run(ours)
    merged = hub_state.repositories[KEY].head
    hub_state.commit(hub_state.repositories[KEY], {"NOTES.md": b"by somebody"})
    hub_state.faults.rules.remove(fault)
    assert run(ours).commit == merged
    assert run.held()["NOTES.md"] == b"by somebody"


def at_a_commit(hub_state: HubState, monkeypatch, change) -> None:
    """Do `change` when the first commit of a publication is about to be sent."""
    from lyra_data.hub.repository import HubRepository

    usual, waiting = HubRepository.commit, [change]

    def commit(self, *arguments, **settings):
        if waiting:
            waiting.pop()()
        return usual(self, *arguments, **settings)

    monkeypatch.setattr(HubRepository, "commit", commit)


@pytest.mark.parametrize("count", [3, 15])
def test_other_files_that_somebody_adds_meanwhile_stay(run, hub_state, monkeypatch, count):
    repository = hub_state.add(NAME, {"old.parquet": DATA}, kind="dataset")
    at_a_commit(hub_state, monkeypatch, lambda: hub_state.commit(repository, {"NOTES.md": b"."}))
    ours = publication(many_files(count))
    receipt = run(ours)
    assert run.held() == run.held("v1.0.0") == {**contents(ours), "NOTES.md": b"."}
    assert run(ours) == receipt


@pytest.mark.parametrize("count", [3, 15])
@pytest.mark.parametrize("name", ["README.md", "old.parquet"])
def test_a_file_that_somebody_changes_meanwhile_is_not_overwritten(
    run, hub_state, monkeypatch, count, name
):
    files = {"README.md": CARD + b"former", "old.parquet": DATA}
    repository = hub_state.add(NAME, files, kind="dataset")
    at_a_commit(hub_state, monkeypatch, lambda: hub_state.commit(repository, {name: b"mine"}))
    ours = publication(many_files(count))
    with pytest.raises(UploadError, match=f"{name} was changed on main by somebody else") as caught:
        run(ours)
    assert run.held()[name] == b"mine"
    if count > 10:
        assert "close pull request 1" in str(caught.value)
        repository.history.discussions[1].status = "closed"
    run(ours)
    assert run.held() == contents(ours)
    assert hub_state.records.resent == {}


def test_a_strangers_pull_request_of_the_same_title_is_left_alone(run, hub_state, hub, tmp_path):
    ours = publication(many_files(12))
    killed(run, ours, steps=2)
    title = hub_state.repositories[KEY].history.discussions[1].title
    hub_state.repositories[KEY].history.discussions[1].status = "closed"
    with client_pointed_at(hub, tmp_path / "stranger", token=OTHER_TOKEN):
        from huggingface_hub import HfApi

        HfApi().create_pull_request(NAME, title, repo_type="dataset")
    run(ours)
    assert [it.status for it in hub_state.repositories[KEY].history.discussions.values()] == [
        "closed",
        "draft",
        "merged",
    ]
    assert run.held() == contents(ours)


def test_what_another_puts_into_the_pull_request_does_not_reach_main(run, hub_state):
    ours = publication(many_files(15))
    killed(run, ours, steps=2)
    repository = hub_state.repositories[KEY]
    hub_state.commit(repository, {"evil.py": b"x", "README.md": b"y"}, ref="refs/pr/1")
    run(ours)
    assert run.held() == run.held("v1.0.0") == contents(ours)


def test_a_tag_that_another_makes_at_the_same_moment_stays(run, hub_state, monkeypatch):
    from lyra_data.hub.repository import HubRepository

    def tag(self, name, commit):
        hub_state.repositories[KEY].history.tags[name] = (
            hub_state.repositories[KEY].history.commits[commit].parents[0]
        )
        usual(self, name, commit)

    usual = HubRepository.tag
    monkeypatch.setattr(HubRepository, "tag", tag)
    with pytest.raises(UploadError, match="published already with other content"):
        run(publication({"a.parquet": DATA}))


def test_commits_an_hour_hold_over_killed_runs(run, hub_state):
    hub_state.limits.commits_an_hour = None
    record = run.scratch / "publish" / f"calls-{hub_state.endpoint[7:].replace(':', '_')}"
    record.mkdir(parents=True)
    now = hub_state.clock.now()
    number = int(now // 3610)
    (record / f"commits-{number}.txt").write_text(f"{now - 100:.3f}\n" * 127)
    lines: list[str] = []

    class Lines(KillAfter):
        def advance(self, count: int = 1, note: str = "") -> None:
            lines.append(note)

    run(publication(many_files(15)), Lines(0))
    assert hub_state.clock.now() - now > 3500
    assert "the Hub takes 128 commits an hour: waiting 58 min" in lines
    assert hub_state.records.most_commits_an_hour() <= 4


def test_a_file_that_changes_while_it_is_published_does_not_reach_a_tag(run, hub_state, tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(DATA)
    given = publication({"b.parquet": DATA})
    stale = PublishedFile("a.parquet", path, len(DATA), "0" * 64)
    ours = type(given)(**{**vars(given), "files": (*given.files, stale)})
    with pytest.raises(UploadError):
        run(ours)
    path.write_bytes(DATA + b".")
    with pytest.raises(InputError, match="has changed, or is gone"):
        run(ours)
    assert hub_state.repositories[KEY].history.tags == {}
