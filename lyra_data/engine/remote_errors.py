"""Refusals of remote storage, S3's above all, in our words."""

from __future__ import annotations

from typing import Any

_REASONS = {
    "InvalidAccessKeyId": ("the server does not know this access key", "correct access_key_id"),
    "SignatureDoesNotMatch": (
        "the secret key does not belong to this access key",
        "correct secret_access_key",
    ),
    "AccessDenied": (
        "these credentials may not read and write there",
        "take a token or a user that may write",
    ),
    "NoSuchBucket": ("there is no such bucket", "make it, or correct its name"),
    "NotImplemented": (
        "the server does not take what the S3 client sends",
        "set AWS_REQUEST_CHECKSUM_CALCULATION=when_required (docs/remotes.md)",
    ),
}
"""Words for what S3 servers answer, and what mends it."""

_CLIENTS = {"botocore", "aiobotocore", "aiohttp", "httpx", "huggingface_hub", "hf_xet"}
"""Packages whose errors are a remote's; none of them need be installed."""


def is_of_remote(error: BaseException) -> bool:
    """Return whether a remote or its client raised this, or the system beneath them."""
    families = {family.__module__.partition(".")[0] for family in type(error).__mro__}
    return isinstance(error, OSError) or bool(families & _CLIENTS)


def reason_of(error: BaseException) -> tuple[str, str] | None:
    """Return what a server's answer means and what mends it; None where it is none that we know."""
    for code in _codes(error):
        if code in _REASONS:
            what, fix = _REASONS[code]
            return f"{what} ({code})", fix
    return None


def lacks_credentials(error: BaseException) -> bool:
    """Return whether the S3 client has no keys, or only one of the two."""
    return type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError")


def _codes(error: BaseException | None) -> list[str]:
    """Return the codes of S3's answers in an error and in what it was raised of."""
    codes = []
    while error is not None:
        response: Any = getattr(error, "response", None)
        if isinstance(response, dict):
            codes.append(str(response.get("Error", {}).get("Code")))
        error = error.__cause__ or error.__context__
    return codes
