"""What somebody probably meant: words, and instance types, like the one that was written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue


def closest(word: str, known: Iterable[str]) -> str | None:
    """Find what was probably meant: the known word most like this one, case and separators aside."""
    plain = {re.sub("[^a-z0-9]", "", k.lower()): k for k in known}
    near = difflib.get_close_matches(re.sub("[^a-z0-9]", "", word.lower()), plain, n=1, cutoff=0.7)
    return plain[near[0]] if near else None


def similar_type(name: str, catalogue: Catalogue) -> str:
    """Suggest a name or a glob like this one that does exist."""
    family, dot, size = name.partition(".")
    families = dict.fromkeys(t.partition(".")[0] for t in catalogue)
    near = closest(name, catalogue) if "*" not in name and "?" not in name else None
    if near is None and (like := closest(family.rstrip("*"), families)):
        near = f"{like}{dot or '.'}{size or '*'}"
        near = near if catalogue.matching((near,)) else f"{like}.*"
    return f'did you mean "{near}"?' if near else 'write a type such as "m6i.large", or a glob such as "m6i.*"'
