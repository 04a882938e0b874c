"""Writing with any OpenAI-compatible endpoint: one query per request, as JSON, patient with a busy server.

A request is tried again after 429, 5xx, a broken connection or a timeout, each time after a longer wait, or after what
`Retry-After` says. Other refusals (a wrong key, an unknown model) stop the run at once; what was written is kept. The
prompt and the types are ours, after Retrofit (2510.14274).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from isogloss import __version__
from isogloss.errors import IsoglossError, UsageError
from isogloss.generation.tasks import INVALID, Task, Written
from isogloss.languages import language_name

DEFAULT_PROMPT = """\
Write one search query in {Language} that the passage below answers.
Kind of query: {query_type}. Length: {length_band} (short: up to 5 words, medium: 6 to 12, long: 13 to 25).
Use your own words. Do not mention the passage, a text or a document.
Answer with JSON alone, in this form: {{"query": "…"}}

Passage: {passage}"""
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_RETRIED = (408, 409, 429)
_LONGEST_ANSWER = 1 << 20
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")


class EndpointSettings(BaseModel):
    """How an endpoint is asked; every value is ours.

    Attributes:
        url: Base address, such as `https://host/v1`; `/chat/completions` is added where it is missing.
        model: Name of the model there.
        key_variable: Environment variable that holds the key; no key is sent where it is unset.
        prompt: Template over {Language}, {query_type}, {length_band} and {passage}.
        temperature: Of sampling.
        max_tokens: Longest answer.
        json_mode: Whether the server is told to answer with JSON; some servers refuse the option.
        parallel: Requests at once.
        timeout: Seconds that an answer may take.
        retries: Further tries after a failure that may pass.
        first_wait: Seconds before the first of them; each further wait is twice as long.
        longest_wait: Most seconds between two tries, `Retry-After` included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str
    model: str = Field(min_length=1)
    key_variable: str = "OPENAI_API_KEY"
    prompt: str = DEFAULT_PROMPT
    temperature: float = Field(default=0.7, ge=0)
    max_tokens: int = Field(default=200, ge=1)
    json_mode: bool = True
    parallel: int = Field(default=4, ge=1, le=64)
    timeout: float = Field(default=60.0, gt=0)
    retries: int = Field(default=6, ge=0)
    first_wait: float = Field(default=1.0, ge=0)
    longest_wait: float = Field(default=60.0, ge=0)


class _TryAgainError(Exception):
    """A failure that may pass; `wait` is what the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class EndpointWriter:
    """Asks an endpoint for queries.

    Args:
        settings: The endpoint.
        seed: Sent with every request, for servers that take one.
        sleep: Waits so many seconds.

    Raises:
        UsageError: If the address is none, a key would travel unencrypted, or the prompt lacks a field.
    """

    many_at_once = False

    def __init__(
        self, settings: EndpointSettings, *, seed: int = 13, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._sleep = sleep
        self._address = _address(settings.url)
        self._key = os.environ.get(settings.key_variable, "")
        host = urllib.parse.urlsplit(self._address).hostname
        if self._key and self._address.startswith("http:") and host not in _LOCAL_HOSTS:
            raise UsageError(
                f"the key of {settings.key_variable} would travel unencrypted to {host}",
                next_step="Use https, or unset the variable if the server needs no key.",
            )
        try:
            settings.prompt.format(Language="", query_type="", length_band="", passage="")
        except (KeyError, IndexError, ValueError) as error:
            allowed = "{Language}, {query_type}, {length_band}, {passage}; double other braces"
            raise UsageError(f"endpoint prompt: {error} is no field", next_step=f"There are: {allowed}.") from error

    def describe(self) -> dict[str, Any]:
        """Model, prompt and decoding; not the address, which may change between two sittings."""
        settings = self._settings
        return {
            "generator": settings.model,
            "prompt_hash": hashlib.sha256(settings.prompt.encode()).hexdigest()[:16],
            "seed": self._seed,
            "decoding": {"temperature": settings.temperature, "max_tokens": settings.max_tokens},
        }

    def write(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Written]]:
        """Asks for each task, some at once; what is answered is given even where another request fails for good.

        Raises:
            IsoglossError: If the server refuses, or does not answer after all tries.
        """
        with ThreadPoolExecutor(self._settings.parallel) as pool:
            window = 4 * self._settings.parallel
            for first in range(0, len(tasks), window):
                asked = {pool.submit(self._ask, task): task for task in tasks[first : first + window]}
                failure: IsoglossError | None = None
                for future in as_completed(asked):
                    if future.cancelled():
                        continue
                    error = future.exception()
                    if error is None:
                        yield asked[future], future.result()
                    elif isinstance(error, IsoglossError):
                        failure = failure or error
                        for other in asked:
                            other.cancel()
                    else:
                        raise error
                if failure is not None:
                    raise failure

    def _ask(self, task: Task) -> Written:
        reason = ""
        for attempt in range(self._settings.retries + 1):
            try:
                return _written(self._request(self._body(task)))
            except _TryAgainError as failed:
                reason = str(failed)
                if attempt < self._settings.retries:
                    wait = failed.wait if failed.wait is not None else self._settings.first_wait * 2**attempt
                    self._sleep(min(wait, self._settings.longest_wait))
        raise IsoglossError(
            f"{self._address} did not answer after {self._settings.retries + 1} tries: {reason}",
            next_step="What was written is kept; the same command goes on from there.",
        )

    def _body(self, task: Task) -> bytes:
        settings = self._settings
        passage = f"{task.passage.title} {task.passage.text}".strip()
        prompt = settings.prompt.format(
            Language=language_name(task.language),
            query_type=task.query_type,
            length_band=task.length_band,
            passage=passage,
        )
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": settings.temperature,
            "max_tokens": settings.max_tokens,
            "seed": self._seed + task.number,
        }
        if settings.json_mode:
            body["response_format"] = {"type": "json_object"}
        return json.dumps(body).encode()

    def _request(self, body: bytes) -> bytes:
        """The answer's body.

        Raises:
            _TryAgainError: After a failure that may pass.
            IsoglossError: After one that will not.
        """
        headers = {"Content-Type": "application/json", "User-Agent": f"isogloss/{__version__}"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._address, data=body, headers=headers)  # noqa: S310 - http(s), see _address
        try:
            with _OPENER.open(request, timeout=self._settings.timeout) as answer:
                content: bytes = answer.read(_LONGEST_ANSWER)
                return content
        except urllib.error.HTTPError as error:
            with error:
                reason = f"{error.code} {error.reason}: {error.read(300).decode('utf-8', 'replace').strip()}"
            if error.code in _RETRIED or error.code >= 500:
                raise _TryAgainError(reason, _seconds(error.headers.get("Retry-After"))) from error
            raise IsoglossError(
                f"{self._address} refuses: {reason}",
                next_step=f"Check the address, the model's name and the key ({self._settings.key_variable}); "
                "a server that knows no JSON mode wants --set json_mode=false.",
            ) from error
        except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            raise _TryAgainError(str(error) or type(error).__name__) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the key must not travel to another host."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _address(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"'{url}' is no address of an endpoint", next_step="Give it as https://host/v1.")
    return url if url.rstrip("/").endswith("/chat/completions") else f"{url.rstrip('/')}/chat/completions"


def _seconds(header: str | None) -> float | None:
    """Seconds of a `Retry-After` header; dates, which few servers send, are not read."""
    try:
        return max(0.0, float(header)) if header is not None else None
    except ValueError:
        return None


def _written(answer: bytes) -> Written:
    """The query in an answer, or why there is none."""
    try:
        content = json.loads(answer)["choices"][0]["message"]["content"]
        query = json.loads(_FENCE.sub("", content.strip()))["query"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Written((), INVALID)
    return Written((query,)) if isinstance(query, str) else Written((), INVALID)
