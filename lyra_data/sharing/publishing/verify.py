"""Verify that the Hub holds exactly what was to be published."""

from __future__ import annotations

from collections.abc import Mapping

from lyra_data.hub.errors import UploadError
from lyra_data.hub.listing import RemoteFile
from lyra_data.hub.repository import HubRepository
from lyra_data.sharing.publishing.changes import changes_against
from lyra_data.sharing.publishing.publication import Publication


def differences(publication: Publication, remote: Mapping[str, RemoteFile]) -> list[str]:
    """Return a line for each published file that the Hub lacks or holds with another content."""
    return [
        f"{file.path}: {'not there' if file.path not in remote else 'another content'}"
        for file in publication.files
        if not file.is_same(remote.get(file.path))
    ]


def verify(publication: Publication, remote: Mapping[str, RemoteFile], *, where: str) -> None:
    """Compare all checksums.

    Args:
        remote: what the Hub lists.
        where: address of the listed revision.

    Raises:
        UploadError: a file is not there, or not the same.
    """
    lines = differences(publication, remote)
    if lines:
        more = f" (and {len(lines) - 3} more)" if len(lines) > 3 else ""
        raise UploadError(
            f"the Hub holds other files than were published: {'; '.join(lines[:3])}{more}",
            where=where,
            fix="see that nothing writes these files meanwhile; then run the same command again: "
            "it sends what differs",
        )


def differences_at_tag(
    publication: Publication, repository: HubRepository, remote: Mapping[str, RemoteFile]
) -> list[str]:
    """Return a line for each file in which a published version differs from the publication.

    A file that somebody else put on main while this publication was under way stands in its version
    too, and is no difference: the version's commit bears the publication's mark.

    Args:
        remote: what the Hub lists at the tag.
    """
    lines = differences(publication, remote)
    others = changes_against(publication, remote).removed
    if others and not lines:
        _, title = repository.commits(publication.tag)[0]
        if publication.mark in title:
            return []
    return lines + [f"{path}: not in it now" for path in others]
