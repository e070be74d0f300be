"""What somebody probably meant: words, and instance types, like the one that was written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue


_SYNONYMS = {
    "amd64": "x86_64",
    "x64": "x86_64",
    "i386": "x86_64",
    "intel": "x86_64",
    "aarch64": "arm64",
    "arm": "arm64",
    "graviton": "arm64",
}


def closest(word: str, known: Iterable[str], likeness: float = 0.7) -> str | None:
    """Find what was probably meant: the known word most like this one (0 to 1), case and separators aside."""
    plain = {re.sub("[^a-z0-9]", "", k.lower()): k for k in known}
    if (synonym := _SYNONYMS.get(word.lower())) in plain.values():
        return synonym
    near = difflib.get_close_matches(re.sub("[^a-z0-9]", "", word.lower()), plain, n=1, cutoff=likeness)
    return plain[near[0]] if near else None


def similar_type(name: str, catalogue: Catalogue) -> str:
    """Suggest a name or a glob like this one that does exist."""
    family, dot, size = name.partition(".")
    families = dict.fromkeys(t.partition(".")[0] for t in catalogue)
    near = closest(name, catalogue) if "*" not in name and "?" not in name else None
    if near is None and (like := closest(family.rstrip("*"), families, 0.6)):
        near = f"{like}{dot or '.'}{size or '*'}"
        near = near if catalogue.matching((near,)) else f"{like}.*"
    return f'did you mean "{near}"?' if near else 'write a type such as "m6i.large", or a glob such as "m6i.*"'
