"""Publish by a pull request: filled in batches out of the readers' sight, then merged at once.

The pull request's number is kept on disk. Where that is lost, its title tells it: it holds the
publication's key. What is on its branch is finished; a killed run only does the rest.
"""

from __future__ import annotations

import json
from pathlib import Path

from lyra_data.engine.atomic import write_atomically
from lyra_data.engine.documents import parse_json
from lyra_data.hub.errors import UploadError
from lyra_data.hub.repository import MAIN, HubRepository
from lyra_data.hub.repository_facts import PullRequest, StaleParentError
from lyra_data.sharing.publishing.changes import batches, changes_against, refuse_touched
from lyra_data.sharing.publishing.publication import Publication
from lyra_data.sharing.publishing.sending import Sender
from lyra_data.sharing.publishing.upload_bar import UploadBar
from lyra_data.sharing.publishing.verify import verify

DESCRIPTION = """Files of version {tag} are being uploaded here by lyra-data, and merged when all
are there. Please leave it alone; closing it makes the next run begin a new one.

`{key}`"""

MOST_MOVES = 5


class PullRequestState:
    """The number of a publication's pull request, in a file.

    Args:
        path: the file; it need not exist.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key

    def read(self) -> int | None:
        """Return the number; None where there is none of this publication, or the file is
        damaged."""
        try:
            values = parse_json(self._path.read_bytes())
            is_ours = values["key"] == self._key
            number = values["pull_request"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return number if is_ours and isinstance(number, int) and number > 0 else None

    def write(self, number: int) -> None:
        """Keep a number."""
        with write_atomically(self._path) as temporary:
            temporary.write_text(json.dumps({"key": self._key, "pull_request": number}) + "\n")

    def forget(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


def merged_before(
    publication: Publication, repository: HubRepository, state: PullRequestState
) -> str | None:
    """Return the commit on main by which a former run merged this publication, if one did."""
    number = state.read()
    pull_request = None if number is None else repository.pull_request(number)
    return None if pull_request is None else _merge_commit(publication, pull_request)


def publish_by_pull_request(
    publication: Publication,
    repository: HubRepository,
    sender: Sender,
    bar: UploadBar,
    *,
    author: str,
    state: PullRequestState,
) -> str:
    """Return the commit on main that holds the publication.

    Args:
        author: name of the account that publishes.

    Raises:
        UploadError: somebody else changed the same files meanwhile, or the Hub refuses.
    """
    pull_request = _unfinished(publication, repository, author, state)
    if pull_request is None:
        pull_request = repository.open_pull_request(
            title=_title(publication),
            description=DESCRIPTION.format(tag=publication.tag, key=publication.key),
            author=author,
        )
    state.write(pull_request.number)
    _fill(publication, repository, sender, bar, pull_request)
    _refuse_conflict(publication, repository, pull_request)
    try:
        merged = repository.merge(pull_request.number)
    except StaleParentError:
        raise UploadError(
            f"the Hub cannot merge pull request {pull_request.number} into {MAIN}",
            where=f"{repository.client.page}/discussions/{pull_request.number}",
            fix="close it on its page; the same command then begins a new one, and sends nothing "
            "again",
        ) from None
    return _merge_commit(publication, merged) or repository.head(MAIN)


def _unfinished(
    publication: Publication, repository: HubRepository, author: str, state: PullRequestState
) -> PullRequest | None:
    """Return the pull request that a former run opened and did not merge."""
    number = state.read()
    if number is not None:
        known = repository.pull_request(number)
        if (
            known is not None
            and (known.title, known.author) == (_title(publication), author)
            and known.status in ("draft", "open")
        ):
            return known
    return repository.find_pull_request(title=_title(publication), author=author)


def _title(publication: Publication) -> str:
    return f"{publication.message} {publication.mark}"


def _merge_commit(publication: Publication, pull_request: PullRequest) -> str | None:
    is_merged = pull_request.status == "merged" and pull_request.title == _title(publication)
    return pull_request.merge_commit if is_merged else None


def _fill(
    publication: Publication,
    repository: HubRepository,
    sender: Sender,
    bar: UploadBar,
    pull_request: PullRequest,
) -> None:
    """Bring the pull request's branch to exactly the files of the publication."""
    for _ in range(MOST_MOVES):
        head = repository.head(pull_request.revision)
        files = repository.files(head)
        changes = changes_against(publication, files)
        parts = batches(changes)
        if not parts:
            verify(publication, files, where=f"{repository.client.page}/tree/{head}")
            return
        bar.start(changes.size)
        try:
            for number, part in enumerate(parts, 1):
                note = f"commit {number} of {len(parts)}"
                head = sender.commit(part, parent=head, revision=pull_request.revision, note=note)
        except StaleParentError:  # ours arrived late, or another's: look again
            continue
    raise UploadError(
        "somebody else writes into the pull request of this publication",
        where=f"{repository.client.page}/discussions/{pull_request.number}",
        fix="close it on its page; the same command then begins a new one",
    )


def _refuse_conflict(
    publication: Publication, repository: HubRepository, pull_request: PullRequest
) -> None:
    """Refuse to merge where main's files that are published have changed since the branch left
    it."""
    commits = repository.commits(pull_request.revision)
    main = repository.head(MAIN)
    base = next((commit for commit, title in commits if publication.mark not in title), None)
    if base is None or base == main:
        return
    of_main = {commit for commit, _ in repository.commits(main)}
    base = next((commit for commit, _ in commits if commit in of_main), main)
    before, after = repository.files(base), repository.files(main)
    refuse_touched(
        publication,
        changes_against(publication, before).removed,
        before,
        after,
        page=repository.client.page,
        fix=f"look at {repository.client.page}/commits/{MAIN}; to publish on top of it, close pull "
        f"request {pull_request.number} on its page and run the same command again: files that "
        "are on the Hub are not sent again",
    )
