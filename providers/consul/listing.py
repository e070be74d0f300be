"""One answer about a prefix: all its keys and values, whole or no answer (source: facts consul §2, §6)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from providers.http import Answer

SENTINEL = ".meta"
"""The key below the prefix that proves that the answer holds all: without it nothing is taken for deleted."""


class NoListingError(Exception):
    """What came is no listing; the text says what it was, and ``passing`` whether asking again may help."""

    def __init__(self, message: str, *, passing: bool) -> None:
        self.passing = passing
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The keys below a prefix at one moment, folders and the sentinel left out."""

    index: int  # what the next question waits for; 0: nothing to wait by
    values: Mapping[str, bytes]  # by key; a key without a value has an empty one
    whole: bool  # the sentinel was in the answer, and nothing says that anything was hidden
    expected: frozenset[str] = frozenset()  # keys that the sentinel names

    @property
    def hidden(self) -> tuple[str, ...]:
        """Keys that should be there and are not in the answer."""
        return tuple(sorted(self.expected - set(self.values)))


class _Key(msgspec.Struct):
    Key: str
    Value: str | None = None


class _Sentinel(msgspec.Struct):
    documents: list[str] = []


def listing_from(answer: Answer, prefix: str) -> Listing:
    """Read an answer to ``?recurse``. Raises NoListingError."""
    index = _index(answer)
    if answer.status == 404 and not answer.body and "x-consul-index" in answer.headers:
        return Listing(index=index, values={}, whole=False)  # so it is also for a token that may read nothing
    if answer.status != 200:
        raise NoListingError(_why_not(answer), passing=answer.status not in {400, 403})
    try:
        keys = msgspec.json.decode(answer.body, type=list[_Key])
        values = {
            k.Key: base64.b64decode(k.Value or "", validate=True)
            for k in keys
            if k.Key.startswith(prefix) and not k.Key.endswith("/")
        }
    except (msgspec.MsgspecError, binascii.Error) as error:
        begins = " ".join(answer.text.split())[:60]
        raise NoListingError(f"it answers 200 with no listing of keys ({error}; {begins!r})", passing=True) from error
    sentinel = values.pop(prefix + SENTINEL, None)
    shown = {key: value for key, value in values.items() if not key.rpartition("/")[2].startswith(".")}
    filtered = answer.headers.get("x-consul-results-filtered-by-acls") == "true"
    return Listing(
        index=index,
        values=shown,
        whole=sentinel is not None and not filtered,
        expected=frozenset(prefix + name.lstrip("/") for name in _named(sentinel)),
    )


def _named(sentinel: bytes | None) -> list[str]:
    """Give the names in a sentinel; one that is no JSON of ours proves its presence alone."""
    try:
        return msgspec.json.decode(sentinel or b"{}", type=_Sentinel).documents
    except msgspec.MsgspecError:
        return []


def _index(answer: Answer) -> int:
    text = answer.headers.get("x-consul-index", "")
    return int(text) if text.isdigit() else 0


def _why_not(answer: Answer) -> str:
    text = " ".join(answer.text.split())[:160]
    if answer.status == 403:
        return (
            f"it answers 403 {text!r}: the token in CONSUL_HTTP_TOKEN is missing, has ended or may not read this; it"
            " needs key_prefix read on the prefix"
        )
    if answer.status == 404:
        return f"it answers 404 {text!r}: is it Consul?"
    if answer.status == 500 and "leader" in text:
        return f"it has no leader ({text!r}): an election, or quorum is lost"
    return f"it answers {answer.status} {text!r}"
