"""Publish by one commit on main: a reader sees the former files or the new ones."""

from __future__ import annotations

from collections.abc import Mapping

from lyra_data.hub.errors import UploadError
from lyra_data.hub.listing import RemoteFile
from lyra_data.hub.repository import MAIN, HubRepository
from lyra_data.hub.repository_facts import StaleParentError
from lyra_data.sharing.publishing.changes import Changes, changes_against, refuse_touched
from lyra_data.sharing.publishing.publication import Publication
from lyra_data.sharing.publishing.sending import Sender

MOST_MOVES = 5


def publish_by_one_commit(
    publication: Publication,
    repository: HubRepository,
    sender: Sender,
    *,
    main: str,
    before: Mapping[str, RemoteFile],
) -> str:
    """Return the commit on main that holds the publication.

    Args:
        main: head of main.
        before: its files.

    Raises:
        UploadError: somebody else changed the same files meanwhile, or the Hub refuses.
    """
    page = repository.client.page
    changes = changes_against(publication, before)
    removed = changes.removed
    for _ in range(MOST_MOVES):
        try:
            return sender.commit(changes, parent=main, revision=MAIN, note="one commit")
        except StaleParentError:
            head = repository.head(MAIN)
        after = repository.files(head)
        refuse_touched(
            publication,
            removed,
            before,
            after,
            page=page,
            fix=f"look at {page}/commits/{MAIN}; the same command publishes on top of it",
        )
        left = changes_against(publication, after)
        changes = Changes(left.pending, tuple(path for path in removed if path in after))
        if not changes:  # ours arrived late
            return head
        main, before = head, after
    raise UploadError(
        f"{MAIN} changes faster than a commit can be made",
        where=page,
        fix="wait until the others are done; then run the same command again",
    )
