"""Bytes to text: size, encoding, and characters that nobody can see."""

from __future__ import annotations

import re
from typing import Final

BYTES_MAX: Final = 1 << 20

Mark = tuple[int, int]
"""Line and column, both from 1."""


class UnreadableError(Exception):
    """The text cannot be read as a document; ``message; hint`` as in a Problem."""

    def __init__(self, at: Mark, message: str, hint: str) -> None:
        self.at, self.message, self.hint = at, message, hint
        super().__init__(f"{message}; {hint}")


_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u200a\u200c-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_BOMS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def decoded(text: str | bytes) -> str:
    """Check size, encoding and characters; a UTF-8 byte order mark is dropped. Raises `UnreadableError`."""
    if len(text) > BYTES_MAX:
        size = f"{len(text) / (1 << 20):.1f} MiB"
        raise UnreadableError((1, 1), f"the file has {size}, a document at most 1 MiB", "is this the right file?")
    if isinstance(text, bytes):
        text = _from_utf8(text)
    text = text.removeprefix("\ufeff")
    if (odd := _UNPRINTABLE.search(text)) is not None:
        char = odd.group()
        at = _place(text, odd.start())
        if char == "\0":
            raise UnreadableError(at, "a NUL character: this is no text", "save the file as UTF-8 text")
        raise UnreadableError(at, f"a character that cannot be seen (U+{ord(char):04X})", "remove it")
    return text


def _from_utf8(data: bytes) -> str:
    for bom, name in _BOMS:
        if data.startswith(bom):
            raise UnreadableError((1, 1), f"the file is {name}", "save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        at = _place(data[: e.start].decode("utf-8"), None)
        if b"\0" in data[:1024]:
            raise UnreadableError(at, "this is binary, not text", "is this the right file?") from None
        what = f"the byte 0x{data[e.start]:02x} is not UTF-8"
        raise UnreadableError(at, what, "save the file as UTF-8 (it may be Latin-1 or Windows-1252)") from None


def _place(text: str, end: int | None) -> Mark:
    lines = lines_of(text[:end])
    return len(lines), len(lines[-1]) + 1


def lines_of(text: str) -> list[str]:
    """Split text where editors do."""
    return re.split("\r\n|\r|\n", text)
