"""Good documents with something changed: never an exception, always a place inside the file."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.document.reader import read, value_of
from support.documents import ROOT, loaded


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _full() -> Any:
    """Give a document that says everything, so that every field can be spoilt."""
    (root,), _ = read((ROOT / "specs/examples/production.yaml").read_text(encoding="utf-8"), lambda *_: None)
    document = _plain(value_of(root))
    spec = document["spec"]
    spec["servers"] |= {"count": 3, "snapshots": {"every": "1h", "keep": 3, "to": "/x"}, "elasticIps": ["eipalloc-1"]}
    spec["nomad"] |= {"tls": {"ca": "ssm:/a", "cert": "ssm:/b", "key": "ssm:/c"}, "acl": True, "gossipKey": "ssm:/x"}
    window = {
        "name": "nights",
        "cron": "0 1 * * *",
        "duration": "4h",
        "timezone": "UTC",
        "allow": ["drift"],
        "deny": [],
    }
    once = {"from": "2026-01-01", "until": "2026-01-02", "deny": ["all"]}
    spec["disruption"] = {"maxUnavailablePercent": 5, "canary": {"soak": "5m", "above": 2}, "windows": [window, once]}
    spec["pools"][0] |= {
        "scaleDown": {"enabled": True, "period": "1m", "periods": 3, "maxPercent": 5, "cooldown": "1m"},
        "drain": {"deadline": "1m", "batch": "keep"},
        "protect": [{"jobs": "a*"}, {"meta": {"a": "b"}}],
        "interruption": {"onRebalance": "drain"},
        "machine": {"install": {"url": "https://x", "sha256": "0" * 64}, "agentConfig": {"a": [1, {"b": None}]}},
        "join": ["10.0.0.1"],
        "attributes": {"a": "b"},
    }
    return document


FULL = _full()


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in inner for place in _places(item, (*at, key)))]


PLACES = [place for place in _places(FULL) if place]

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "x", "m6i.*", "t3.small", "1m", "0s", "default", "all", "us-east-1a", "[x", "%", "a b", "\u00e9"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
    st.lists(st.sampled_from([1, "x", None, {}]), max_size=3),
    st.dictionaries(st.sampled_from(["min", "max", "name", "count", "x"]), st.sampled_from([1, "x", None]), max_size=3),
)


def _changed(document: Any, place: tuple[Any, ...], how: str, value: Any) -> None:
    for part in place[:-1]:
        document = document[part]
    key = place[-1]
    if how == "replace":
        document[key] = value
    elif how == "remove":
        del document[key]
    elif isinstance(document, dict):
        document[f"{key}s"] = document.pop(key) if how == "misspell" else value


@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), st.sampled_from(["replace", "replace", "remove", "misspell", "add"]), odd),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_changed_problems_stay_inside_the_file(changes: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    document = copy.deepcopy(FULL)
    for place, how, value in changes:
        try:
            _changed(document, place, how, value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    text = json.dumps(document, indent=1)  # JSON is YAML
    lines = text.split("\n")

    result = loaded(text)

    assert result.problems, "some fields of this document are not implemented yet"
    for problem in result.problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.message


def test_the_document_that_says_everything_is_refused_only_for_what_is_not_implemented() -> None:
    """Or it would hide what the changes are about."""
    told = {problem.message for problem in loaded(json.dumps(FULL)).problems}

    assert {message for message in told if "not implemented yet" not in message} == {
        "addresses to join, although the group has `servers`: its pools always join those",
        "1 addresses for 3 servers",
    }
