"""The Hub's client, watched: every request within the limits, every failure repeated here alone.

The Hub's client has one HTTP client a process. While a session lasts, ours stands in for it: it
counts requests, sets time limits (the Hub's client has none, and a silent connection would hold it
for ever), and raises what can be tried again as HubUnavailableError, which the Hub's client does
not repeat by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_token, set_client_factory
from huggingface_hub.utils import _http

from lyra_data.hub.errors import LOGIN, UploadError, repository_page
from lyra_data.hub.limits import CALLS, COMMITS, CallRecord, Limit
from lyra_data.hub.retries import (
    RETRIED_STATUSES,
    Clock,
    HubUnavailableError,
    Retries,
    seconds_asked,
)
from lyra_data.hub.upload_errors import upload_errors

TIMEOUT = httpx2.Timeout(connect=15.0, read=180.0, write=180.0, pool=180.0)
"""Seconds without a byte; the Hub itself gives up on a commit after 60."""

Result = TypeVar("Result")


class WatchedClient(httpx2.Client):
    """Sends the requests of the Hub's client, and raises HubUnavailableError for what may be
    repeated."""

    def __init__(self, record: CallRecord, clock: Clock) -> None:
        super().__init__(
            event_hooks={"request": [_http.hf_request_event_hook]},
            follow_redirects=True,
            timeout=TIMEOUT,
        )
        self._record, self._clock = record, clock

    def build_request(self, *arguments: Any, **settings: Any) -> httpx2.Request:
        """Build a request; some methods of the Hub's client ask for no time limit at all."""
        if settings.get("timeout") is None:
            settings["timeout"] = httpx2.USE_CLIENT_DEFAULT
        return super().build_request(*arguments, **settings)

    def send(self, request: httpx2.Request, **settings: Any) -> httpx2.Response:
        """Send a request when the limits allow it."""
        limits = limits_of(request.method, str(request.url))
        if limits:
            self._record.reserve(*limits)
        try:
            response = super().send(request, **settings)
        except httpx2.TransportError as error:
            is_reached = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
            words = "the connection broke" if is_reached else "no connection"
            raise HubUnavailableError(
                f"{words} ({type(error).__name__})", is_reached=is_reached
            ) from error
        # The address that a file is sent to is signed for some time; then it is refused, and the
        # Hub gives another one.
        is_store = not _is_hub(str(request.url))
        is_stale_address = is_store and request.method == "PUT" and response.status_code == 403
        if response.status_code in RETRIED_STATUSES or is_stale_address:
            response.close()
            raise HubUnavailableError(
                f"{'its store' if is_store else 'the Hub'} answers {response.status_code}",
                asked_seconds=seconds_asked(response.headers, self._clock.now()),
            )
        return response


def limits_of(method: str, address: str) -> tuple[Limit, ...]:
    """Return the limits that a request counts for; none where it is no call of the interface."""
    path = urlsplit(address).path
    is_call = path.startswith("/api/") or path.endswith("/info/lfs/objects/batch")
    if not is_call or not _is_hub(address):
        return ()
    is_commit = method == "POST" and ("/commit/" in path or path.endswith("/merge"))
    return (CALLS, COMMITS) if is_commit else (CALLS,)


def _is_hub(address: str) -> bool:
    return urlsplit(address).netloc == urlsplit(constants.ENDPOINT).netloc


class HubClient:
    """Calls of the Hub about one repository.

    Args:
        record: of the calls that were made of late.
        retries: says how long failures are borne.
    """

    def __init__(
        self, repository: str, repository_type: str, *, record: CallRecord, retries: Retries
    ) -> None:
        self.repository = repository
        self.repository_type = repository_type
        self.record = record
        self.retries = retries
        self.api = HfApi(library_name="lyra-data")

    @property
    def page(self) -> str:
        """Address of the repository's page."""
        return repository_page(self.repository, self.repository_type)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Stand in for the HTTP client of the Hub's client while the block lasts; one at a time."""
        former = _http._GLOBAL_CLIENT_FACTORY
        set_client_factory(lambda: WatchedClient(self.record, self.retries.clock))
        try:
            yield
        finally:
            set_client_factory(former)

    def require_token(self) -> None:
        """Raise UploadError where nobody is logged in."""
        if get_token() is None:
            raise UploadError("you are not logged in", where=self.page, fix=LOGIN)

    def call(
        self,
        request: Callable[[HfApi], Result],
        applied: Callable[[], Result | None] | None = None,
    ) -> Result:
        """Return what `request` returns; repeated as `Retries.call` says.

        Raises:
            UploadError: the Hub refuses, or patience is at its end.
        """
        with upload_errors(self.repository, self.repository_type):
            return self.retries.call(lambda: request(self.api), applied)
