"""One repository of the Hub as publishing sees it: its branches and tags, its files, and changes
that are made once although an answer is lost."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from lyra_data.hub.client import HubClient
from lyra_data.hub.errors import UploadError
from lyra_data.hub.listing import RemoteFile
from lyra_data.hub.repository_facts import Account, PullRequest, Refs, StaleParentError
from lyra_data.hub.upload_errors import of_xet_client

MAIN = "main"


class HubRepository:
    """Asks about a repository and changes it; raises UploadError where the Hub refuses."""

    def __init__(self, client: HubClient) -> None:
        self.client = client
        self._names: dict[str, Any] = {
            "repo_id": client.repository,
            "repo_type": client.repository_type,
        }

    def account(self) -> Account:
        """Return who the token belongs to."""
        answer = self.client.call(lambda api: api.whoami())
        token = answer.get("auth", {}).get("accessToken") or {}
        organisations = tuple(item["name"] for item in answer.get("orgs", []))
        return Account(answer["name"], organisations, token.get("role"))

    def refs(self) -> Refs | None:
        """Return its branches' and tags' commits; None where there is no such repository."""

        def request(api: Any) -> Any:
            try:
                return api.list_repo_refs(**self._names)
            except RepositoryNotFoundError:
                return None

        refs = self.client.call(request)
        if refs is None:
            return None
        main = next((ref.target_commit for ref in refs.branches if ref.name == MAIN), None)
        if main is None:
            raise UploadError(
                f"has no branch {MAIN}",
                where=self.client.page,
                fix="publish into another repository, or make that branch",
            )
        return Refs(main, {ref.name: ref.target_commit for ref in refs.tags})

    def head(self, revision: str) -> str:
        """Return the commit that a revision stands for."""
        info = self._info("sha", revision=revision)
        assert info.sha is not None, "the Hub states what it is asked for"
        return info.sha

    def is_private(self) -> bool:
        """Return whether only its owners see it."""
        return bool(self._info("private").private)

    def _info(self, fact: str, *, revision: str = MAIN) -> Any:
        """Return what the Hub says of the repository, one fact of it alone."""
        expand: Any = [fact]
        return self.client.call(
            lambda api: api.repo_info(**self._names, revision=revision, expand=expand)
        )

    def types_elsewhere(self) -> list[str]:
        """Return the other types under which a repository of this name exists."""
        others = [t for t in ("dataset", "model", "space") if t != self.client.repository_type]
        return [
            other
            for other in others
            if self.client.call(
                lambda api, other=other: api.repo_exists(self.client.repository, repo_type=other)
            )
        ]

    def create(self, *, private: bool) -> None:
        """Make the repository; one that exists is left as it is."""
        sdk = "static" if self.client.repository_type == "space" else None
        self.client.call(
            lambda api: api.create_repo(
                **self._names, private=private, exist_ok=True, space_sdk=sdk
            )
        )

    def files(self, revision: str) -> dict[str, RemoteFile]:
        """Return the files at a revision by path."""
        entries = self.client.call(
            lambda api: list(api.list_repo_tree(**self._names, recursive=True, revision=revision))
        )
        return {
            entry.path: RemoteFile(
                name=entry.path,
                size=entry.size,
                sha256=None if entry.lfs is None else entry.lfs.sha256,
                git_hash=entry.blob_id if entry.lfs is None else None,
            )
            for entry in entries
            if isinstance(entry, RepoFile)
        }

    def commits(self, revision: str) -> list[tuple[str, str]]:
        """Return (commit, title) of a branch, the newest first."""
        commits = self.client.call(
            lambda api: api.list_repo_commits(**self._names, revision=revision)
        )
        return [(commit.commit_id, commit.title) for commit in commits]

    def check_card(self, text: str) -> None:
        """Raise UploadError where the Hub would refuse a README.md for its header."""
        self.client.call(
            lambda api: api._validate_yaml(content=text, repo_type=self.client.repository_type)
        )

    def send_objects(self, additions: Sequence[CommitOperationAdd], revision: str) -> None:
        """Send the contents that the Hub's store does not hold yet; nothing refers to them before
        a commit does."""

        def request(api: HfApi) -> None:
            for addition in additions:
                if isinstance(addition.path_or_fileobj, io.BufferedIOBase):
                    addition.path_or_fileobj.seek(0)  # a failed attempt leaves it where it broke
            try:
                api.preupload_lfs_files(
                    self.client.repository,
                    additions,
                    repo_type=self.client.repository_type,
                    revision=revision,
                    free_memory=False,
                )
            except (OfflineModeIsEnabled, HfHubHTTPError):
                raise
            except OSError as error:
                if error.errno is not None:  # the disk's
                    raise
                raise of_xet_client(error, self.client.page) from None

        self.client.call(request)

    def commit(
        self,
        operations: Sequence[CommitOperationAdd | CommitOperationDelete],
        *,
        title: str,
        parent: str,
        revision: str = MAIN,
    ) -> str:
        """Return the commit that `operations` make on top of `parent`.

        An applied commit whose answer was lost is known by its title, which must be of this commit
        alone.

        Raises:
            StaleParentError: the branch has moved.
        """

        def applied() -> str | None:
            for commit, other in self.commits(revision):
                if commit == parent:
                    return None
                if other == title:
                    return commit
            return None

        def request(api: Any) -> str:
            try:
                return api.create_commit(
                    **self._names,
                    operations=operations,
                    commit_message=title,
                    parent_commit=parent,
                    revision=revision,
                ).oid
            except HfHubHTTPError as error:
                if error.response.status_code == 412:
                    raise StaleParentError(revision) from None
                raise

        return self.client.call(request, applied)

    def pull_requests(self) -> list[PullRequest]:
        """Return all pull requests of the repository."""
        items = self.client.call(
            lambda api: list(
                api.get_repo_discussions(**self._names, discussion_type="pull_request")
            )
        )
        return [PullRequest(item.num, item.title, item.author, item.status) for item in items]

    def pull_request(self, number: int) -> PullRequest | None:
        """Return one pull request; None where there is none of this number."""

        def request(api: Any) -> PullRequest | None:
            try:
                item = api.get_discussion_details(**self._names, discussion_num=number)
            except HfHubHTTPError as error:
                if error.response.status_code == 404:
                    return None
                raise
            commit = item.merge_commit_oid
            return PullRequest(item.num, item.title, item.author, item.status, commit)

        return self.client.call(request)

    def open_pull_request(self, *, title: str, description: str, author: str) -> PullRequest:
        """Return a new pull request on top of main; `title` must be of this one alone, by which it
        is known where the answer was lost."""

        def applied() -> PullRequest | None:
            return self.find_pull_request(title=title, author=author)

        def request(api: Any) -> PullRequest:
            item = api.create_pull_request(**self._names, title=title, description=description)
            return PullRequest(item.num, item.title, item.author, item.status)

        return self.client.call(request, applied)

    def find_pull_request(self, *, title: str, author: str) -> PullRequest | None:
        """Return the newest unfinished pull request of this title that `author` made."""
        mine = [
            item
            for item in self.pull_requests()
            if (item.title, item.author) == (title, author) and item.status in ("draft", "open")
        ]
        return max(mine, key=lambda item: item.number, default=None)

    def merge(self, number: int) -> PullRequest:
        """Merge a pull request into main, and return it; one that is merged stays as it is.

        Raises:
            StaleParentError: the Hub does not merge it: it is closed, or does not fit main.
        """

        def merged() -> PullRequest | None:
            item = self.pull_request(number)
            return item if item is not None and item.status == "merged" else None

        def request(api: Any) -> None:
            try:
                api.merge_pull_request(**self._names, discussion_num=number)
            except HfHubHTTPError as error:
                if error.response.status_code not in (400, 404, 409, 412):
                    raise

        item = self.pull_request(number)
        if item is not None and item.status == "draft":  # which cannot be merged
            self.client.call(
                lambda api: api.change_discussion_status(
                    **self._names, discussion_num=number, new_status="open"
                )
            )
        result = self.client.call(request, merged) or merged()
        if result is None:
            raise StaleParentError(MAIN)
        return result

    def tag(self, name: str, commit: str) -> None:
        """Make a tag. One that exists stays where it is, and nothing is raised."""
        self.client.call(
            lambda api: api.create_tag(**self._names, tag=name, revision=commit, exist_ok=True)
        )
