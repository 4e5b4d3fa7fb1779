"""Addresses of DVC remotes: a folder, ssh://, s3:// and the Hub's buckets, as DVC's settings."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from lyra_data.engine.errors import InputError
from lyra_data.engine.names import is_safe_name, stays_inside

HUB_GATEWAY = "https://s3.hf.co"
"""The Hub's S3 gateway; a namespace follows, so that a bucket's name stands alone after s3://."""

HUB_REGION = "us-east-1"
HUB_BUCKET = "hf://buckets/"

CLIENT_SETTINGS = "hub-bucket.ini"
"""File in .dvc, without credentials, that the S3 client reads for a bucket of the Hub."""

KNOWN = "a folder, ssh://HOST/PATH, s3://BUCKET/PATH or hf://buckets/NAMESPACE/NAME"

_SECRET_KEYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `dvc remote modify --local NAME "
    "access_key_id ...` and `... secret_access_key ...`"
)


@dataclass(frozen=True)
class RemoteAddress:
    """The place that a project's data is pushed to and pulled from.

    Attributes:
        settings: keys of the remote in .dvc/config; no credentials.
        credentials: says how DVC is given credentials; empty where it needs none. NAME stands for
            the name of the remote.
        needs_client_settings: .dvc/CLIENT_SETTINGS belongs to it.
    """

    settings: Mapping[str, str]
    credentials: str = ""
    needs_client_settings: bool = False

    @property
    def url(self) -> str:
        return self.settings["url"]


def parse_remote(address: str, endpoint_url: str | None = None) -> RemoteAddress:
    """Take an address apart, and see that DVC's plug-in for its kind is installed.

    Args:
        endpoint_url: of a server that speaks S3, for an s3:// address; None: Amazon's.

    Raises:
        InputError: it is of no known kind, holds a password, lacks a part, or DVC cannot use it.
    """
    scheme = address.partition("://")[0] if "://" in address else ""
    if not address.isprintable():
        raise InputError(
            "the address holds a control character", where="--remote", fix=f"give {KNOWN}"
        )
    if scheme and re.search("[?#]", address):
        raise InputError("an address has no '?' and no '#'", where="--remote", fix=f"give {KNOWN}")
    if endpoint_url is not None and scheme != "s3":
        raise InputError("--endpoint-url is for s3:// alone", where="--remote", fix="leave it out")
    if scheme and "@" in _parts(address, "--remote").netloc and scheme != "ssh":
        raise _secret_in_address("--remote")
    if not scheme:
        return _folder(address)
    if scheme == "ssh":
        return _ssh(address)
    if scheme == "s3":
        return _s3(address, endpoint_url)
    if scheme == "hf":
        return _hub_bucket(address)
    raise InputError(
        f"{scheme}:// is no address that init knows",
        where="--remote",
        fix=f"give {KNOWN}; for others of DVC's: `dvc remote add`",
    )


def _folder(address: str) -> RemoteAddress:
    path = Path(address).expanduser().absolute()
    if not address.strip() or (path.exists() and not path.is_dir()):
        raise InputError("this is no folder", where=f"--remote {address}", fix=f"give {KNOWN}")
    return RemoteAddress({"url": path.as_posix()})


def _ssh(address: str) -> RemoteAddress:
    parts = _parts(address, "--remote")
    if parts.password is not None:
        raise _secret_in_address("--remote", "use a key (ssh-agent, or keyfile in .dvc/config)")
    if not parts.hostname or not parts.path.strip("/"):
        raise InputError(
            "host or folder is missing", where="--remote", fix="give ssh://USER@HOST/FOLDER"
        )
    _require("dvc_ssh", "dvc-ssh", "pip install dvc-ssh")
    return RemoteAddress({"url": address}, "DVC logs in as ssh does: keys, agent, ~/.ssh/config")


def _s3(address: str, endpoint_url: str | None) -> RemoteAddress:
    bucket, _, path = address.removeprefix("s3://").partition("/")
    _check_bucket(bucket, path, "s3://BUCKET/PATH")
    settings = {"url": address.rstrip("/")}
    if endpoint_url is not None:
        endpoint = _parts(endpoint_url, "--endpoint-url")
        if "@" in endpoint.netloc:
            raise _secret_in_address("--endpoint-url")
        is_server = endpoint.scheme in ("http", "https") and endpoint.hostname
        if not is_server or endpoint.query or endpoint.fragment or not endpoint_url.isprintable():
            raise InputError(
                f"{endpoint_url!r} is no address of a server",
                where="--endpoint-url",
                fix="give http://HOST:PORT or https://HOST",
            )
        settings["endpointurl"] = endpoint_url
    _require_s3()
    return RemoteAddress(settings, _SECRET_KEYS)


def _hub_bucket(address: str) -> RemoteAddress:
    if not address.startswith(HUB_BUCKET):
        raise InputError(
            "a repository of the Hub cannot be a DVC remote; a bucket can",
            where=f"--remote {address}",
            fix=f"give {HUB_BUCKET}NAMESPACE/NAME; datasets and models go to repositories by "
            "`lyra-data publish`",
        )
    namespace, _, rest = address.removeprefix(HUB_BUCKET).rstrip("/").partition("/")
    name, _, path = rest.partition("/")
    _check_bucket(name, path, f"{HUB_BUCKET}NAMESPACE/NAME")
    if not is_safe_name(namespace):
        raise InputError(
            f"{namespace!r} is no namespace of the Hub",
            where="--remote",
            fix="give the name of a user or an organisation",
        )
    _require_s3()
    return RemoteAddress(
        {
            "url": f"s3://{name}/{path}".rstrip("/"),
            "endpointurl": f"{HUB_GATEWAY}/{namespace}",
            "region": HUB_REGION,
            "configpath": CLIENT_SETTINGS,
        },
        "make S3 credentials of a token (huggingface.co/settings/tokens, Generate S3 "
        f"credentials), then {_SECRET_KEYS}",
        needs_client_settings=True,
    )


def _parts(address: str, where: str) -> SplitResult:
    """Return an address taken apart, its port read as a number."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:  # whose text repeats what may be a password
        raise InputError(
            "its host or port cannot be read", where=where, fix=f"give {KNOWN}"
        ) from None
    return parts


def _check_bucket(bucket: str, path: str, form: str) -> None:
    """Raise InputError unless these name a bucket and perhaps a path that its server takes.

    The Hub's gateway refuses empty parts, "." and ".." in keys; elsewhere they are mistakes too.
    """
    path = path.strip("/")
    is_path = not path or (stays_inside(path) and not re.search(r"//|(^|/)\.(/|$)", path))
    if not is_safe_name(bucket) or not is_path:
        raise InputError(
            f"{bucket}/{path} is no bucket with a path" if bucket else "the bucket is missing",
            where="--remote",
            fix=f"give {form}",
        )


def _secret_in_address(where: str, fix: str = _SECRET_KEYS) -> InputError:
    """Return the refusal of an address that is not repeated: it would be kept in git."""
    return InputError("an address must not hold a user's key or password", where=where, fix=fix)


def _require_s3() -> None:
    _require("dvc_s3", "dvc-s3", "pip install 'lyra-data[s3]'")


def _require(module: str, package: str, command: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise InputError(
            f"DVC needs {package} for this address, and it is not installed",
            where="--remote",
            fix=command,
        )
