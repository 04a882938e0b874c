"""Refusals and failures as a caller sees them: the shape of OpenAI's errors, never the text of an exception."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class RefusalError(Exception):
    """A request that is not served, with what its caller may know.

    Args:
        status: HTTP status.
        message: What is wrong and what is allowed.
        code: One word for programs.
        parameter: Field of the request that is wrong, empty where it is none.
        retry_after: Seconds after which the same request may succeed; 0 where it will not.
    """

    def __init__(
        self, status: int, message: str, *, code: str = "", parameter: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.parameter = parameter
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        """`Retry-After` or `WWW-Authenticate`, where the status asks for one."""
        if self.retry_after:
            return {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        return {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}

    def response(self) -> JSONResponse:
        """The refusal as an answer."""
        return error_response(self.status, self.message, self.code, self.parameter, self.headers())


def error_response(
    status: int, message: str, code: str = "", parameter: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer of the shape `{"error": {"message", "type", "param", "code"}}`."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error: dict[str, Any] = {"message": message, "type": kind, "param": parameter or None, "code": code or None}
    return JSONResponse({"error": error}, status, headers=dict(headers or {}))
