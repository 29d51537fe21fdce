"""Passwords: argon2id strings, and texts that cannot be guessed.

The parameters are those OWASP's Password Storage Cheat Sheet gives for argon2id: 19 MiB, 2 passes,
1 lane. Two are worked at a time, so that a flood of sign-ins takes neither memory nor all cores.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from waremill.errors import ConfigError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")
SHORTEST, LONGEST = 10, 1000
"""Characters of a password."""


async def hash_password(password: str) -> str:
    """Give a password's argon2id string. Raises ConfigError for one too short or too long."""
    if len(password) > LONGEST:
        raise ConfigError(f"a password has at most {LONGEST:,} characters")
    if len(unicodedata.normalize("NFKC", password)) < SHORTEST:
        raise ConfigError(f"a password needs at least {SHORTEST} characters")
    return await _aside(lambda: _hasher().hash(_normal(password)))


async def is_right(hashed: str | None, password: str) -> bool:
    """Say whether a password is the one of an argon2 string.

    Without a string, for an unknown name, the same work is done and the answer is no.
    """
    normal = _normal(password[: LONGEST + 1])
    return await _aside(lambda: _verify(hashed, normal))


def is_old(hashed: str) -> bool:
    """Say whether a string was made with parameters other than today's."""
    return _hasher().check_needs_rehash(hashed)


def new_secret() -> str:
    """Make a text of 32 random bytes."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """Give the SHA-256 under which a random text is kept."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _normal(password: str) -> bytes:
    """Write a password in one way, however the keyboard composed it (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _verify(hashed: str | None, password: bytes) -> bool:
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        right = _hasher().verify(hashed or _nobodys(), password)
    except (Argon2Error, InvalidHashError):
        return False
    return right and hashed is not None


@cache
def _hasher() -> PasswordHasher:
    try:
        from argon2 import PasswordHasher, Type
    except ImportError:
        raise ConfigError("accounts need the web extra: pip install 'waremill[web]'") from None
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)


@cache
def _nobodys() -> str:
    return _hasher().hash(new_secret())


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")


async def _aside(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads(), work)
