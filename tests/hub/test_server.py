"""The test Hub, asked by the real client in this process."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import CommitOperationDelete, HfApi, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub.conftest import CARD, KEY, NAME, ROWS, commit, status_of
from tests.hub.server import OTHER_TOKEN, READ_TOKEN, TOKEN


def test_files_come_back_as_they_were_committed(api, hub_state, tmp_path):
    api.create_repo(NAME, repo_type="dataset", private=True)
    commit(api, {"README.md": CARD, "data/a.parquet": ROWS, "empty.txt": b""})
    files = hub_state.files(KEY)
    files.pop(".gitattributes")
    assert files == {"README.md": CARD, "data/a.parquet": ROWS, "empty.txt": b""}
    folder = api.snapshot_download(NAME, repo_type="dataset", local_dir=tmp_path / "there")
    assert Path(folder, "data/a.parquet").read_bytes() == ROWS
    assert Path(folder, "README.md").read_bytes() == CARD
    check = api.verify_repo_checksums(NAME, repo_type="dataset", local_dir=tmp_path / "there")
    assert (check.checked_count, check.mismatches, check.missing_paths) == (4, [], [])
    assert hub_state.records.tokens_elsewhere == []
    assert hub_state.records.bytes_served[KEY, "data/a.parquet"] == len(ROWS)


def test_the_hub_says_who_asks_and_what_he_may(api):
    facts = api.whoami()
    assert (facts["name"], facts["orgs"][0]["name"]) == ("tester", "lab")
    assert facts["auth"]["accessToken"]["role"] == "write"
    assert status_of(lambda: api.whoami(token="hf_nobody")) == 401


def test_a_reader_at_a_revision_sees_exactly_that_revision(api, scenes):
    first = scenes.repositories[KEY].head
    api.create_tag(NAME, tag="v1", repo_type="dataset")
    commit(api, {"data/a.parquet": b"new", "data/b.parquet": b"newer"})
    api.create_commit(
        NAME,
        [CommitOperationDelete("data/", is_folder=True)],
        commit_message="less",
        repo_type="dataset",
    )
    assert hub_read(api, "v1", "data/a.parquet") == ROWS
    assert api.dataset_info(NAME, revision="v1").sha == first
    assert api.list_repo_files(NAME, repo_type="dataset") == [".gitattributes", "README.md"]
    assert "data/b.parquet" not in scenes.files(KEY, "v1")
    titles = [it.title for it in api.list_repo_commits(NAME, repo_type="dataset")]
    assert titles == ["less", "more", "a commit", "initial commit"]


def hub_read(api: HfApi, revision: str, name: str) -> bytes:
    path = hf_hub_download(NAME, name, repo_type="dataset", revision=revision, token=api.token)
    return Path(path).read_bytes()


def test_facts_state_hashes_sizes_and_the_card(api, scenes):
    info = api.dataset_info(NAME, files_metadata=True)
    by_name = {sibling.rfilename: sibling for sibling in info.siblings}
    assert by_name["data/a.parquet"].lfs.sha256 == hashlib.sha256(ROWS).hexdigest()
    assert by_name["README.md"].size == len(CARD)
    assert info.card_data["license"] == "cc-by-4.0" and info.tags == ["video"]
    (file, folder) = api.get_paths_info(NAME, ["data/a.parquet", "data", "x"], repo_type="dataset")
    assert (file.size, file.lfs.size, folder.path) == (len(ROWS), len(ROWS), "data")


def test_a_tree_is_listed_page_by_page(api, scenes):
    scenes.page_size = 2
    listed = api.list_repo_tree(NAME, repo_type="dataset", recursive=True, expand=True)
    names = [entry.path for entry in listed]
    assert names == [".gitattributes", "README.md", "data", "data/a.parquet"]
    pages = [request for request in scenes.records.requests if "/tree/" in request.path]
    assert len(pages) == 2


def test_a_commit_with_a_stale_parent_changes_nothing(api, scenes):
    before = scenes.repositories[KEY].head
    scenes.commit(scenes.repositories[KEY], {"other.txt": b"first"})
    heads = scenes.records.heads(KEY)
    assert status_of(lambda: commit(api, {"a.txt": b"a"}, parent_commit=before)) == 412
    assert scenes.records.heads(KEY) == heads
    commit(api, {"a.txt": b"a"}, parent_commit=scenes.repositories[KEY].head)
    assert list(scenes.records.heads(KEY)[-1]) == [*heads[-1], "a.txt"]


def test_a_pull_request_is_filled_merged_and_leaves_main_whole_at_every_moment(api, scenes):
    made = commit(api, {"b.parquet": b"b"}, create_pr=True)
    assert made.pr_revision == "refs/pr/1"
    commit(api, {"c.parquet": b"c"}, revision="refs/pr/1")
    assert "b.parquet" not in scenes.files(KEY)
    assert scenes.files(KEY, "refs/pr/1")["c.parquet"] == b"c"
    details = api.get_discussion_details(NAME, 1, repo_type="dataset")
    assert details.status == "open" and len(details.events) == 2
    assert not details.conflicting_files
    api.merge_pull_request(NAME, 1, repo_type="dataset")
    refs = api.list_repo_refs(NAME, repo_type="dataset", include_pull_requests=True)
    merged = api.get_discussion_details(NAME, 1, repo_type="dataset")
    assert (merged.status, merged.merge_commit_oid) == ("merged", refs.branches[0].target_commit)
    assert refs.pull_requests[0].name == "1"
    num_files = [len(files) for files in scenes.records.heads(KEY)]
    assert num_files == [1, 3, 5]
    assert status_of(lambda: commit(api, {"d.txt": b"d"}, revision="refs/pr/1")) == 403


def test_a_draft_is_opened_before_it_is_merged(api, scenes):
    draft = api.create_pull_request(NAME, title="Version 2", repo_type="dataset")
    assert draft.status == "draft"
    commit(api, {"b.txt": b"b"}, revision=draft.git_reference)
    assert status_of(lambda: api.merge_pull_request(NAME, 1, repo_type="dataset")) == 400
    api.change_discussion_status(NAME, 1, new_status="open", repo_type="dataset")
    api.merge_pull_request(NAME, 1, repo_type="dataset")
    assert scenes.files(KEY)["b.txt"] == b"b"
    assert [it.num for it in api.get_repo_discussions(NAME, repo_type="dataset")] == [1]


def test_a_pull_request_that_conflicts_is_not_merged(api, scenes):
    commit(api, {"b.txt": b"mine"}, create_pr=True)
    scenes.commit(scenes.repositories[KEY], {"b.txt": b"theirs"})
    details = api.get_discussion_details(NAME, 1, repo_type="dataset")
    assert details.conflicting_files == ["b.txt"]
    assert status_of(lambda: api.merge_pull_request(NAME, 1, repo_type="dataset")) == 409


def test_names_of_commits_are_made_once(api, scenes):
    api.create_tag(NAME, tag="v1", repo_type="dataset")
    assert status_of(lambda: api.create_tag(NAME, tag="v1", repo_type="dataset")) == 409
    api.create_branch(NAME, branch="next", repo_type="dataset")
    assert status_of(lambda: api.create_branch(NAME, branch="next", repo_type="dataset")) == 409
    commit(api, {"b.txt": b"b"}, revision="next")
    assert "b.txt" not in scenes.files(KEY)
    api.delete_branch(NAME, branch="next", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(NAME, revision="next")
    api.delete_tag(NAME, tag="v1", repo_type="dataset")
    assert api.list_repo_refs(NAME, repo_type="dataset").tags == []


def test_a_squashed_branch_has_one_commit(api, scenes):
    api.super_squash_history(NAME, repo_type="dataset")
    assert len(api.list_repo_commits(NAME, repo_type="dataset")) == 1
    assert scenes.files(KEY)["README.md"] == CARD


def test_a_repository_is_made_once_and_deleted(api, hub_state):
    api.create_repo("tester/page", repo_type="space", space_sdk="static")
    assert status_of(lambda: api.create_repo("tester/page", repo_type="space", space_sdk="static"))
    api.create_repo("tester/page", repo_type="space", space_sdk="static", exist_ok=True)
    assert list(hub_state.repositories) == ["spaces/tester/page"]
    api.delete_repo("tester/page", repo_type="space")
    assert not api.repo_exists("tester/page", repo_type="space")


def test_rights_are_checked(api, scenes):
    assert status_of(lambda: api.create_repo("nvidia/mine")) == 403
    assert status_of(lambda: HfApi(token=READ_TOKEN).create_repo("lab/mine")) == 403
    reader, stranger = HfApi(token=READ_TOKEN), HfApi(token=OTHER_TOKEN)
    assert status_of(lambda: commit(reader, {"a.txt": b"a"})) == 403
    assert status_of(lambda: commit(stranger, {"a.txt": b"a"})) == 403
    assert commit(stranger, {"a.txt": b"a"}, create_pr=True).pr_num == 1
    assert status_of(lambda: commit(HfApi(token="hf_nobody"), {"a.txt": b"a"})) == 401


def test_a_private_repository_is_there_for_its_owners_only(api, scenes):
    api.update_repo_settings(NAME, repo_type="dataset", private=True)
    assert api.dataset_info(NAME).private
    for token, status in ((False, 401), (OTHER_TOKEN, 404)):
        with pytest.raises(RepositoryNotFoundError) as caught:
            api.dataset_info(NAME, token=token)
        assert caught.value.response.status_code == status


def test_a_gated_repository_lists_its_files_and_keeps_them(api, scenes):
    scenes.repositories[KEY].gated = True
    for token in (False, OTHER_TOKEN):
        assert api.dataset_info(NAME, token=token).gated == "auto"
        with pytest.raises(GatedRepoError):
            hf_hub_download(NAME, "README.md", repo_type="dataset", token=token)
    scenes.repositories[KEY].granted.add("stranger")
    api.auth_check(NAME, repo_type="dataset", token=OTHER_TOKEN)
    assert hub_read(HfApi(token=OTHER_TOKEN), "main", "README.md") == CARD


def test_what_is_not_there_is_told_by_its_code(api, scenes):
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(NAME)
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(NAME, revision="v9")
    with pytest.raises(RemoteEntryNotFoundError):
        hub_read(api, "main", "b.parquet")


def test_a_bad_card_and_a_bad_name_are_refused(api, scenes):
    with pytest.raises(ValueError, match="Invalid metadata"):
        commit(api, {"README.md": b"---\na: [\n---\n"})
    header = '{"key": "header", "value": {"summary": "s"}}\n'
    line = '{"key": "file", "value": {"content": "", "path": "a/../../b", "encoding": "base64"}}'
    url = f"{api.endpoint}/api/datasets/{NAME}/commit/main"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx2.post(url, content=header + line, headers=headers).status_code == 400
