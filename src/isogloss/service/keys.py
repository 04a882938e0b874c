"""API keys: where they come from, how they are compared, and which addresses need one."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from isogloss.errors import Fault, UsageError, raise_faults
from isogloss.files import file_errors

KEYS_VARIABLE = "ISOGLOSS_API_KEYS"
SHORTEST_KEY = 16
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class ApiKeys:
    """The keys that open a service; none means that callers need none.

    Attributes:
        digests: SHA-256 of each key, so that keys of all lengths compare alike and none is kept.
    """

    digests: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, keys: Iterable[str]) -> ApiKeys:
        """The digests of `keys`.

        Raises:
            UsageError: If a key is too short to be a secret, or no plain ASCII.
        """
        listed = list(keys)
        faults = [
            Fault(f"API key {number}", _fault(key), f"at least {SHORTEST_KEY} printable ASCII characters")
            for number, key in enumerate(listed, start=1)
            if _fault(key)
        ]
        next_step = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        raise_faults(UsageError, "API keys", faults, next_step)
        return cls(tuple(hashlib.sha256(key.encode()).digest() for key in listed))

    def __bool__(self) -> bool:
        return bool(self.digests)

    def accept(self, authorization: bytes) -> bool:
        """Whether an `Authorization` header holds one of the keys; takes as long for a wrong key as for a right one."""
        scheme, _, key = authorization.partition(b" ")
        given = hashlib.sha256(key.strip()).digest()
        # All digests are compared, so that time does not tell which one it was.
        found = [hmac.compare_digest(given, digest) for digest in self.digests]
        return scheme.lower() == b"bearer" and any(found)


def read_keys(file: Path | None, environment: Mapping[str, str]) -> ApiKeys:
    """Keys of a file, one a line with `#` for comments, and of the variable ISOGLOSS_API_KEYS, parted by commas.

    Raises:
        FileError: If the file cannot be read.
        UsageError: If a key is unfit, or the file has none.
    """
    keys = [key.strip() for key in environment.get(KEYS_VARIABLE, "").split(",") if key.strip()]
    if file is not None:
        with file_errors(file, "read"):
            lines = [line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
        listed = [line for line in lines if line and not line.startswith("#")]
        if not listed:
            raise UsageError(f"{file} holds no API key", next_step="Write one key a line.")
        keys += listed
    return ApiKeys.of(keys)


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    name = host.strip("[]")
    try:
        return name in LOOPBACK_NAMES or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_address(host: str, keys: ApiKeys) -> None:
    """Refuses to listen to other machines without a key.

    Raises:
        UsageError: If the address is not loopback and there is no key.
    """
    if not is_loopback(host) and not keys:
        raise UsageError(
            f"--host {host} lets other machines in, and there is no API key",
            next_step=f"Give --api-key-file FILE or set {KEYS_VARIABLE}, or stay on 127.0.0.1.",
        )


def _fault(key: str) -> str:
    if len(key) < SHORTEST_KEY:
        return f"has {len(key)} characters"
    return "" if key.isascii() and key.isprintable() and " " not in key else "has characters that no header can carry"
