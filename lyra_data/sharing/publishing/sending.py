"""Send a batch of files and make the commit that refers to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.utils._runtime import is_xet_available

from lyra_data.engine.errors import InputError
from lyra_data.hub.errors import UploadError
from lyra_data.hub.repository import HubRepository
from lyra_data.sharing.publishing.changes import Changes
from lyra_data.sharing.publishing.publication import Publication, PublishedFile
from lyra_data.sharing.publishing.upload_bar import CountedReader, UploadBar

BYTES_A_GROUP = 256 * 2**20
"""Contents that are sent together: what a killed run may have to find again on the Hub."""


class Sender:
    """Makes commits of batches."""

    def __init__(self, publication: Publication, repository: HubRepository, bar: UploadBar) -> None:
        self._publication = publication
        self._repository = repository
        self._bar = bar

    def commit(self, batch: Changes, *, parent: str, revision: str, note: str) -> str:
        """Return the commit that makes a batch's changes on top of `parent`.

        Raises:
            StaleParentError: the branch has moved; the contents are on the Hub all the same.
            UploadError: the Hub refuses.
            InputError: a file has changed since it was hashed.
        """
        additions = [self._addition(file) for file in batch.pending]
        try:
            for files, group in _groups(batch.pending, additions):
                self._repository.send_objects(group, revision)
                self._refuse_ignored(group)
                self._bar.finish(files, note)
            return self._repository.commit(
                [
                    *additions,
                    *(CommitOperationDelete(path, is_folder=False) for path in batch.removed),
                ],
                title=self._title(batch),
                parent=parent,
                revision=revision,
            )
        finally:
            for addition in additions:
                if isinstance(addition.path_or_fileobj, CountedReader):
                    addition.path_or_fileobj.close()

    def check_card(self, changes: Changes) -> None:
        """Raise UploadError where the Hub would refuse the card, before anything is sent."""
        for file in changes.pending:
            if file.path == "README.md":
                content = (
                    file.source if isinstance(file.source, bytes) else file.source.read_bytes()
                )
                self._repository.check_card(content.decode(errors="replace"))

    def _title(self, batch: Changes) -> str:
        return f"{self._publication.message} ({batch.key[:8]}) {self._publication.mark}"

    def _addition(self, file: PublishedFile) -> CommitOperationAdd:
        if isinstance(file.source, bytes):
            return CommitOperationAdd(file.path, file.source)
        if not file.source.is_file() or file.source.stat().st_size != file.size:
            raise InputError(
                "has changed, or is gone, since this publication began",
                where=str(file.source),
                fix="publish again, without another program that writes these files",
            )
        addition = CommitOperationAdd(file.path, file.source)
        addition.upload_info.sha256 = bytes.fromhex(file.sha256)
        if not is_xet_available():  # the Xet client reads paths itself, and says how far it is
            addition.path_or_fileobj = CountedReader(Path(file.source), file.path, self._bar)
        return addition

    def _refuse_ignored(self, additions: Sequence[CommitOperationAdd]) -> None:
        """Refuse what a .gitignore of the repository would leave out in silence."""
        ignored = [addition.path_in_repo for addition in additions if addition._should_ignore]
        if ignored:
            raise UploadError(
                f"the repository's .gitignore leaves out {ignored[0]}",
                where=self._repository.client.page,
                fix="remove the line from .gitignore in the repository, then publish again",
            )


def _groups(
    files: Sequence[PublishedFile], additions: Sequence[CommitOperationAdd]
) -> Iterator[tuple[list[PublishedFile], list[CommitOperationAdd]]]:
    """Yield neighbouring files with their additions, BYTES_A_GROUP together or one larger file."""
    group: list[int] = []
    size = 0
    for index, file in enumerate(files):
        if group and size + file.size > BYTES_A_GROUP:
            yield [files[i] for i in group], [additions[i] for i in group]
            group, size = [], 0
        group.append(index)
        size += file.size
    if group:
        yield [files[i] for i in group], [additions[i] for i in group]
