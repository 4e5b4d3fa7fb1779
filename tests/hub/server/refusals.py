"""Refusals of the Hub: a status, words, and the error code that its client reads."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response


class RefusalError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "",
        *,
        headers: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers, self.body = headers or {}, body or {}

    def response(self) -> Response:
        stated = {"X-Error-Code": self.code, "X-Error-Message": self.message}
        headers = {name: value for name, value in stated.items() if value}
        return JSONResponse(
            {"error": self.message} | self.body, self.status, headers | self.headers
        )
