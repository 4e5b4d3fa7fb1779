"""Publish: compare with the Hub, upload what it lacks, verify, tag, and give a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants

from lyra_data.engine.locks import held_lock
from lyra_data.engine.progress import Progress, silent
from lyra_data.hub.client import HubClient
from lyra_data.hub.errors import UploadError
from lyra_data.hub.limits import CallRecord
from lyra_data.hub.repository import HubRepository
from lyra_data.hub.repository_facts import Account, Refs
from lyra_data.hub.retries import UNREACHED_PATIENCE_SECONDS, Clock, Retries
from lyra_data.hub.upload_errors import WRITE_TOKEN
from lyra_data.sharing.publishing.changes import batches, changes_against
from lyra_data.sharing.publishing.one_commit import publish_by_one_commit
from lyra_data.sharing.publishing.publication import Publication
from lyra_data.sharing.publishing.pull_request import (
    PullRequestState,
    merged_before,
    publish_by_pull_request,
)
from lyra_data.sharing.publishing.receipt import Receipt, receipt_of
from lyra_data.sharing.publishing.sending import Sender
from lyra_data.sharing.publishing.upload_bar import UploadBar, bars_of_the_client
from lyra_data.sharing.publishing.verify import differences_at_tag, verify

STATE_FOLDER = "publish"


def publish(
    publication: Publication,
    *,
    state: Path,
    progress: Progress = silent,
    clock: Clock | None = None,
) -> Receipt:
    """Bring a publication to the Hub and return the receipt; what is there already is not sent.

    Killed at any moment, the next call goes on; main holds the former files or the new ones. The
    same publication again changes nothing.

    Args:
        state: the project's scratch folder, for the record of calls and unfinished publications.
        clock: time, and waiting.

    Raises:
        UploadError: the Hub refuses or is not reached, the tag stands for other content, or
            somebody else changed the same files meanwhile.
        BusyError: another process publishes to this repository from here.
        InputError: a file changed while it was being published.
    """
    bar = UploadBar(progress)
    client = client_for(publication, state, bar, clock=clock or Clock())
    work = f"publish-{_slug(publication)}"
    with held_lock(state, work), client.session(), bars_of_the_client(bar):
        client.require_token()
        bar.compare()
        run = _Run(publication, HubRepository(client), bar, _state_of(publication, state))
        commit = run.commit_at_tag()
        run.state.forget()
    bar.end()
    return receipt_of(publication, commit)


def client_for(
    publication: Publication,
    state: Path,
    bar: UploadBar,
    *,
    clock: Clock,
    unreached_patience_seconds: float = UNREACHED_PATIENCE_SECONDS,
) -> HubClient:
    """Return a client whose record of calls is shared by all publications of a project."""
    host = urlsplit(constants.ENDPOINT).netloc.replace(":", "_")
    return HubClient(
        publication.repository,
        publication.repository_type,
        record=CallRecord(state / STATE_FOLDER / f"calls-{host}", report=bar.report, clock=clock),
        retries=Retries(
            seed=publication.key,
            report=bar.report,
            clock=clock,
            unreached_patience_seconds=unreached_patience_seconds,
        ),
    )


def refuse_moved_tag(publication: Publication, lines: list[str], page: str) -> None:
    """Raise UploadError where the tag stands for other content than is published."""
    if lines:
        raise UploadError(
            f"{publication.tag} is published already with other content ({lines[0]}"
            f"{f' and {len(lines) - 1} more' if len(lines) > 1 else ''}); a published version "
            "never changes",
            where=f"{page}/tree/{publication.tag}",
            fix="publish this content under a new version",
        )


@dataclass(frozen=True)
class _Run:
    """One run of a publication."""

    publication: Publication
    repository: HubRepository
    bar: UploadBar
    state: PullRequestState

    def commit_at_tag(self) -> str:
        """Return the commit that the tag stands for, once it holds the publication."""
        refs = self.repository.refs()
        if refs is not None and self.publication.tag in refs.tags:
            self._require_same_content()
            return refs.tags[self.publication.tag]
        account = self.repository.account()
        self._refuse_reader(account)
        refs = self._made_repository() if refs is None else self._seen_repository(refs)
        commit = self._commit_on_main(refs, account)
        self.bar.compare()
        page = self.repository.client.page
        verify(self.publication, self.repository.files(commit), where=f"{page}/tree/{commit}")
        self.repository.tag(self.publication.tag, commit)
        refs = self.repository.refs()
        tagged = None if refs is None else refs.tags.get(self.publication.tag)
        if tagged is not None and tagged != commit:  # another's, of this moment
            self._require_same_content()
        assert tagged is not None, "the Hub made the tag"
        return tagged

    def _commit_on_main(self, refs: Refs, account: Account) -> str:
        merged = merged_before(self.publication, self.repository, self.state)
        if merged is not None:
            return merged
        before = self.repository.files(refs.main)
        changes = changes_against(self.publication, before)
        if not changes:
            return refs.main
        sender = Sender(self.publication, self.repository, self.bar)
        sender.check_card(changes)
        if len(batches(changes)) == 1:
            self.bar.start(changes.size)
            return publish_by_one_commit(
                self.publication, self.repository, sender, main=refs.main, before=before
            )
        return publish_by_pull_request(
            self.publication,
            self.repository,
            sender,
            self.bar,
            author=account.name,
            state=self.state,
        )

    def _require_same_content(self) -> None:
        files = self.repository.files(self.publication.tag)
        lines = differences_at_tag(self.publication, self.repository, files)
        refuse_moved_tag(self.publication, lines, self.repository.client.page)

    def _made_repository(self) -> Refs:
        """Make the repository and return its refs."""
        client = self.repository.client
        elsewhere = self.repository.types_elsewhere()
        if elsewhere:
            raise UploadError(
                f"is a {elsewhere[0]}, not a {client.repository_type}",
                where=client.repository,
                fix=f"choose another name; or, where a {client.repository_type} of the same name "
                "is what you want, make it at https://huggingface.co/new"
                f"{'' if client.repository_type == 'model' else '-' + client.repository_type}",
            )
        self.repository.create(private=self.publication.private)
        refs = self.repository.refs()
        if refs is None:
            raise UploadError(
                "was made, and is not there yet",
                where=client.page,
                fix="wait a little, then run the same command again",
            )
        return refs

    def _seen_repository(self, refs: Refs) -> Refs:
        """Return the refs of a repository that everybody sees only where that is meant."""
        if self.publication.private and not self.repository.is_private():
            raise UploadError(
                "is public, and this is to be published in private",
                where=self.repository.client.page,
                fix="make it private in its settings, choose another name, or publish it in public",
            )
        return refs

    def _refuse_reader(self, account: Account) -> None:
        owner = self.publication.repository.partition("/")[0]
        names = (account.name, *account.organisations)
        if owner.lower() not in (name.lower() for name in names):
            raise UploadError(
                f"you are {account.name}, who may not write under {owner}",
                where=self.repository.client.page,
                fix=f"publish under one of: {', '.join(names)}; or log in as somebody else",
            )
        if account.role == "read":
            raise UploadError(
                "your token may only read", where=self.repository.client.page, fix=WRITE_TOKEN
            )


def _slug(publication: Publication) -> str:
    return f"{publication.repository_type}-{publication.repository.replace('/', '--')}"


def _state_of(publication: Publication, state: Path) -> PullRequestState:
    name = f"{_slug(publication)}-{publication.tag}.json"
    return PullRequestState(state / STATE_FOLDER / name, publication.key)
