"""What all of EC2's lists have in common: filters, pages, tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

Values = dict[str, Any]
Asked = Mapping[str, Any]

_PAGE: Final = 1000


def matches(asked: Asked, tags: Mapping[str, str], attribute: Callable[[str], str]) -> bool:
    """Apply filters, which are ANDed; ``*`` and ``?`` in a value are wildcards unless escaped."""
    for wanted in asked.get("Filters", ()):
        name, values = wanted["Name"], wanted["Values"]
        has = tags.get(name.removeprefix("tag:")) if name.startswith("tag:") else attribute(name)
        if has is None or not any(_pattern(value).fullmatch(has) for value in values):
            return False
    return True


@lru_cache(maxsize=256)
def _pattern(value: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", value, flags=re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(p) or re.escape(p[-1]) for p in parts), flags=re.DOTALL)


def page(found: Sequence[Any], asked: Asked) -> tuple[Sequence[Any], Values]:
    """Give one page of a list, and the token of the next one when there is one."""
    start, size = int(asked.get("NextToken") or 0), int(asked.get("MaxResults") or _PAGE)
    more = {"NextToken": str(start + size)} if start + size < len(found) else {}
    return found[start : start + size], more


def tags_in(tags: Mapping[str, str]) -> list[Values]:
    """Write tags."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
