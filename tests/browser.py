"""A headless Chromium, driven over its pipe (DevTools protocol): no driver, port or network."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium_or_skip() -> str:
    """Return the browser's path: LYRA_CHROMIUM, or the first of NAMES on the PATH."""
    path = os.environ.get("LYRA_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium to show the page in (LYRA_CHROMIUM, or chromium on the PATH)")
    return path


class Page:
    """One page of a browser."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._buffer = b""
        self._count = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the result of a command of the protocol."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            reply = self._next_message()
            if reply.get("id") == self._count:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']['message']}")
                return reply["result"]

    def _next_message(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._from], [], [], seconds)[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self._from, 1 << 20)
            if not data:
                raise RuntimeError("the browser has closed its pipe")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        reply = json.loads(message)
        self._note(reply)
        return reply

    def _note(self, reply: dict[str, Any]) -> None:
        method, params = reply.get("method"), reply.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])

    def resize(self, width: int, height: int, *, ratio: float = 1, mobile: bool = False) -> None:
        """Give the window a size in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": mobile},
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def open(self, address: str) -> None:
        """Open an address anew, also where only what follows # changes."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > end:
                raise TimeoutError(f"{expression} stays false; complaints: {self.complaints}")
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def drag(self, start: tuple[int, int], end: tuple[int, int], button: str = "left") -> None:
        """Drag the mouse from one place to another."""
        held = {"button": button, "buttons": 2 if button == "right" else 1, "clickCount": 1}
        for kind, (x, y) in (("Pressed", start), ("Moved", end), ("Released", end)):
            self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **held)

    def picture(self) -> np.ndarray:
        """Return the window as it is: height, width, RGB, 0..255."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@contextlib.contextmanager
def browser_page(profile: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own, yield a page, and end it."""
    command_read, command_write = os.pipe()
    reply_read, reply_write = os.pipe()
    # The browser reads from descriptor 3 and writes to 4; a shell renames ours to these.
    arguments = [
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--mute-audio"),
        *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars"),
        *("--force-color-profile=srgb", "--no-first-run", "--disable-extensions"),
        *(f"--user-data-dir={profile}", "--remote-debugging-pipe"),
    ]
    process = subprocess.Popen(
        [
            "bash",
            "-c",
            f'exec "$0" "$@" 3<&{command_read} 4>&{reply_write}',
            *(chromium_or_skip(), *arguments),
        ],
        pass_fds=(command_read, reply_write),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(command_read)
    os.close(reply_write)
    try:
        yield Page(command_write, reply_read)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(command_write)
        os.close(reply_read)
