"""What an answer about a prefix is: a listing, nothing there, or no listing at all."""

from __future__ import annotations

import pytest

from providers.consul.listing import NoListingError, listing_from
from providers.http import Answer

META = {"x-consul-index": "7"}


def an_answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status=status, headers={**META, **headers}, body=body)


@pytest.mark.parametrize(
    ("answer", "said", "passing"),
    [
        (an_answer(403, b"Permission denied"), "CONSUL_HTTP_TOKEN", False),
        (an_answer(403, b"ACL not found"), "has ended", False),
        (an_answer(400, b"Invalid wait time"), "answers 400", False),
        (an_answer(500, b"No cluster leader"), "no leader", True),
        (an_answer(500, b"rpc error"), "answers 500", True),
        (an_answer(429, b"Too Many Requests"), "answers 429", True),
        (an_answer(503, b""), "answers 503", True),
        (an_answer(301, b""), "answers 301", True),
        (an_answer(200, b"<html>Welcome</html>"), "no listing", True),
        (an_answer(200, b'{"Key": "a"}'), "no listing", True),
        (an_answer(200, b'[{"Key": "fleet/a", "Value": "not base64"}]'), "no listing", True),
        (an_answer(200, b'[{"Key": "fleet/a", "Val'), "no listing", True),
        (an_answer(404, b"<html>nothing here</html>"), "is it Consul?", True),
        (Answer(status=404, headers={}, body=b""), "is it Consul?", True),
    ],
)
def test_whatever_is_no_listing_is_never_an_empty_one(answer: Answer, said: str, passing: bool) -> None:
    with pytest.raises(NoListingError) as raised:
        listing_from(answer, "fleet/")

    assert said in str(raised.value)
    assert raised.value.passing is passing


def test_an_empty_prefix_is_known_by_its_index_and_is_not_whole() -> None:
    listing = listing_from(an_answer(404), "fleet/")

    assert (listing.index, dict(listing.values), listing.whole) == (7, {}, False)


@pytest.mark.parametrize(
    ("sentinel", "expected"),
    [
        ("eyJkb2N1bWVudHMiOiBbImEiLCAiL2IiXX0=", {"fleet/a", "fleet/b"}),  # {"documents": ["a", "/b"]}
        ("aGVsbG8=", set()),  # hello
        ("eyJkb2N1bWVudHMiOiAiYSJ9", set()),  # {"documents": "a"}
        ("", set()),
    ],
)
def test_a_sentinel_proves_its_presence_whatever_it_says(sentinel: str, expected: set[str]) -> None:
    body = f'[{{"Key": "fleet/.meta", "Value": "{sentinel}"}}, {{"Key": "fleet/c", "Value": null}}]'.encode()

    listing = listing_from(an_answer(200, body), "fleet/")

    assert listing.whole
    assert listing.expected == expected
    assert dict(listing.values) == {"fleet/c": b""}
