"""Refusals of the Hub to take something, as errors that a user can mend; tokens never in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lyra_data.hub.errors import AGAIN, LOGIN, UploadError, repository_page
from lyra_data.hub.retries import RETRIED_STATUSES, HubUnavailableError, unavailability

WRITE_TOKEN = (
    "make a token with write access at https://huggingface.co/settings/tokens and log in with it "
    "(`hf auth login`, or HF_TOKEN)"
)
_TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9_]{4,}")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\"]+")
_QUERY = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]+")
_LONGEST = 300


def scrubbed(text: str) -> str:
    """Return a text of others without tokens and without the signatures of addresses."""
    token = get_token()
    if token:
        text = text.replace(token, "***")
    return _QUERY.sub(r"\1?***", _BEARER.sub(r"\1 ***", _TOKEN.sub("***", text)))


@contextmanager
def upload_errors(repository: str, repository_type: str) -> Iterator[None]:
    """Turn whatever the Hub's clients raise into an UploadError that says what to do.

    The cause is not kept: its texts hold addresses with signatures, its request the token.
    """
    try:
        yield
    except OfflineModeIsEnabled:
        error = UploadError(
            "HF_HUB_OFFLINE is set, so nothing is published",
            where=repository_page(repository, repository_type),
            fix="unset HF_HUB_OFFLINE",
        )
    except Exception as cause:
        translated = _translated(cause, repository_page(repository, repository_type))
        if translated is None:
            raise
        error = translated
    else:
        return
    raise error from None


def _translated(cause: Exception, page: str) -> UploadError | None:
    """Return the error in our words; None where it is none of the Hub's."""
    unavailable = unavailability(cause)
    if unavailable is not None:
        return _unavailable(unavailable.reason, unavailable.is_reached, page)
    if isinstance(cause, LocalTokenNotFoundError):
        return UploadError("you are not logged in", where=page, fix=LOGIN)
    if isinstance(cause, HFValidationError):
        return UploadError(scrubbed(str(cause)), where=page, fix="correct the name")
    message = str(cause)
    refusal = _refusal(cause)
    if refusal is not None and not message.startswith("Invalid metadata"):
        return _refused(refusal, page)
    if isinstance(cause, ValueError) and "LFS batch API returned errors" in message:
        return _by_message(message.partition("\n")[2], page)
    if isinstance(cause, ValueError):  # a card's header that is refused, an answer out of shape
        return UploadError(
            f"the Hub does not take this{_quoted(message)}",
            where=page,
            fix=f"correct what it names; then {AGAIN}",
        )
    return None


def of_xet_client(error: OSError, page: str) -> UploadError | HubUnavailableError:
    """Return an error of the Xet client as one of ours: a refusal, or one to try again.

    It raises a ConnectionError when its own tries are at their end, with the status in its text:
    "HTTP status client error (403 Forbidden), domain: ..."; and a PermissionError.
    """
    text = " ".join(scrubbed(str(error)).split())[:_LONGEST]
    status = re.search(r"\((4\d\d) ", text)
    is_refusal = isinstance(error, PermissionError) or (
        status is not None and int(status[1]) not in RETRIED_STATUSES
    )
    if not is_refusal:
        return HubUnavailableError(f"its store cannot be used now: {text}")
    return UploadError(f"the Hub's store refuses: {text}", where=page, fix=WRITE_TOKEN)


def _refusal(error: BaseException | None) -> HfHubHTTPError | None:
    """Return the answer that an error is or stems from."""
    while error is not None and not isinstance(error, HfHubHTTPError):
        error = error.__cause__
    return error


def _unavailable(reason: str, is_reached: bool, page: str) -> UploadError:
    if is_reached:
        return UploadError(
            f"the Hub does not take this now ({reason})",
            where=page,
            fix=f"see https://status.huggingface.co, wait a little, then {AGAIN}",
        )
    return UploadError(
        f"cannot be reached ({reason})",
        where=page,
        fix=f"see to the network (and HF_ENDPOINT, proxies); then {AGAIN}",
    )


def _refused(error: HfHubHTTPError, page: str) -> UploadError:
    status = error.response.status_code
    message = error.server_message or error.response.headers.get("X-Error-Message") or ""
    if isinstance(error, DisabledRepoError):
        return UploadError("is disabled", where=page, fix="see its page")
    if isinstance(error, RevisionNotFoundError):
        return UploadError(
            "a branch or pull request that is needed is gone from the Hub",
            where=page,
            fix="run the same command again: it makes a new one, and sends nothing twice",
        )
    if isinstance(error, RepositoryNotFoundError):
        return UploadError(
            "there is no such repository, or your token may not see it",
            where=page,
            fix=f"see whether the page opens in a browser; {LOGIN}",
        )
    if status == 401:
        return UploadError("the Hub does not know your token", where=page, fix=LOGIN)
    if status == 413:
        return UploadError(
            f"the Hub says that this is too large{_quoted(message)}",
            where=page,
            fix="write the dataset in smaller shards (at most 500 MB is best), or larger ones "
            "where they are many",
        )
    if status in (402, 403) or _is_about_space(message):
        return _by_message(message, page)
    return UploadError(
        f"the Hub answers {status}{_quoted(message)}",
        where=page,
        fix=f"correct what it names; then {AGAIN}",
    )


def _by_message(message: str, page: str) -> UploadError:
    if re.search(r"(?i)(discussion|pull request)s? (is|are) (disabled|turned off)", message):
        return UploadError(
            "the repository takes no pull requests, which many files need",
            where=page,
            fix="turn on discussions and pull requests in its settings, then publish again",
        )
    if _is_about_space(message):
        return UploadError(
            f"the space that your account has on the Hub is used up{_quoted(message)}",
            where=page,
            fix="free some or buy more at https://huggingface.co/settings/billing, or publish it "
            f"as a public repository; then {AGAIN}",
        )
    return UploadError(
        f"your token may not write there{_quoted(message)}",
        where=page,
        fix=f"publish under your own name or an organisation that you may write to; {WRITE_TOKEN}",
    )


def _is_about_space(message: str) -> bool:
    return re.search(r"(?i)storage.*(limit|quota|exceed|full)|quota", message) is not None


def _quoted(message: str) -> str:
    """Return what the Hub says as part of a sentence, cut and without tokens."""
    text = " ".join(scrubbed(message).split())
    return f": {text[:_LONGEST]}" if text else ""
