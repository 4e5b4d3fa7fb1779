"""Refusals of the Hub, as errors that a user can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from httpx2 import TransportError
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lyra_data.engine.errors import LyraError

LOGIN = (
    "log in with `hf auth login`, or set HF_TOKEN (tokens: https://huggingface.co/settings/tokens)"
)
AGAIN = "run the same command again: it goes on where it stopped"


PATHS = {"model": "", "dataset": "datasets/", "space": "spaces/"}
"""Beginning of a repository's address, before OWNER/NAME, by its type."""


class DownloadError(LyraError):
    """The Hub does not give what was asked for, or cannot be reached."""


class UploadError(LyraError):
    """The Hub does not take what is published, or cannot be reached."""


def repository_page(repository: str, repository_type: str = "model") -> str:
    """Return the address of a repository's page."""
    return f"{constants.ENDPOINT}/{PATHS[repository_type]}{repository}"


@contextmanager
def hub_errors(
    repository: str, revision: str | None, repository_type: str = "model"
) -> Iterator[None]:
    """Turn the Hub client's errors into a DownloadError that says what to do."""
    page = repository_page(repository, repository_type)
    try:
        yield
    except GatedRepoError as error:
        raise DownloadError(
            f"its licence must be accepted first, and {_token_words()}",
            where=page,
            fix=f"accept the licence at {page}; {LOGIN}; then run the same command again",
        ) from error
    except RevisionNotFoundError as error:
        raise DownloadError(
            f"has no revision {revision!r}",
            where=page,
            fix=f"give a branch, tag or commit that {page}/commits/main shows, or leave it out",
        ) from error
    except DisabledRepoError as error:
        raise DownloadError("is disabled", where=page, fix="see its page") from error
    except RepositoryNotFoundError as error:
        raise DownloadError(
            f"there is no such repository, or it is private, and {_token_words()}",
            where=page,
            fix=f"see whether the page opens in a browser; where it is private, {LOGIN}",
        ) from error
    except RemoteEntryNotFoundError as error:
        raise DownloadError(
            "a file it lists is not there", where=page, fix="try another --revision"
        ) from error
    except OfflineModeIsEnabled as error:
        raise DownloadError(
            "HF_HUB_OFFLINE is set, so nothing is fetched",
            where=page,
            fix="unset HF_HUB_OFFLINE, or fetch the files on another machine and copy them here",
        ) from error
    except HFValidationError as error:
        raise DownloadError(str(error), where=page, fix="correct the name") from error
    except HfHubHTTPError as error:
        raise _refused(error, page) from error
    except TransportError as error:
        raise DownloadError(
            f"cannot be reached ({type(error).__name__}: {error})",
            where=page,
            fix=f"see to the network (and HF_ENDPOINT, proxies); then {AGAIN}",
        ) from error
    except FileMetadataError as error:
        raise DownloadError(str(error), where=page, fix=AGAIN) from error
    except OSError as error:
        if error.errno is not None:  # the disk's, not the network's
            raise
        reason = str(error).splitlines()[0]
        raise DownloadError(f"the download ended early: {reason}", where=page, fix=AGAIN) from error


def _refused(error: HfHubHTTPError, page: str) -> DownloadError:
    status = error.response.status_code
    if status == 401:
        return DownloadError("the Hub does not know your token", where=page, fix=LOGIN)
    if status == 403:
        return DownloadError(
            "your token may not read this repository",
            where=page,
            fix=f"give the token the right to read gated repositories, or {LOGIN}",
        )
    return DownloadError(
        f"the Hub answers {status}", where=page, fix=f"wait a little, then {AGAIN}"
    )


def _token_words() -> str:
    return "you are not logged in" if get_token() is None else "your token has no access yet"
