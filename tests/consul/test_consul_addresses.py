"""Where ``consul://`` leads, and by which variables."""

from __future__ import annotations

import pytest

from providers.consul.settings import AddressError, Location


@pytest.mark.parametrize(
    ("url", "environ", "base", "prefix"),
    [
        ("consul://c:8501/fleet", {}, "http://c:8501", "fleet/"),
        ("consul://c/fleet/", {}, "http://c:8500", "fleet/"),
        ("consul://c/a/b%20c", {}, "http://c:8500", "a/b c/"),
        ("consul://[::1]:8500/a", {}, "http://[::1]:8500", "a/"),
        ("consul:///fleet", {}, "http://127.0.0.1:8500", "fleet/"),
        ("consul:///fleet", {"CONSUL_HTTP_ADDR": "https://c:8501"}, "https://c:8501", "fleet/"),
        ("consul://d:1/fleet", {"CONSUL_HTTP_ADDR": "https://c:8501"}, "https://d:1", "fleet/"),
        ("consul://d:1/fleet", {"CONSUL_HTTP_SSL": "true"}, "https://d:1", "fleet/"),
        ("consul://d:1/fleet", {"CONSUL_CACERT": "/ca.pem"}, "https://d:1", "fleet/"),
    ],
)
def test_an_address_is_the_urls_and_how_it_is_spoken_to_the_environments(
    url: str, environ: dict[str, str], base: str, prefix: str
) -> None:
    location = Location.read(url, environ)

    assert (location.settings.base, location.prefix) == (base, prefix)


@pytest.mark.parametrize(
    ("url", "environ", "said"),
    [
        ("consul://c:8500", {}, "name the prefix"),
        ("consul://c:85oo/a", {}, "85oo"),
        ("consul://c/a?token=hush", {}, "CONSUL_HTTP_TOKEN"),
        ("consul://c/a?stale&consistent", {}, "exclude each other"),
        ("consul://c/a?dc", {}, "dc is not known"),
        ("consul://c/a", {"CONSUL_HTTP_ADDR": "unix:///run/consul"}, "CONSUL_HTTP_ADDR"),
        ("consul://c/a", {"CONSUL_CLIENT_CERT": "/c.pem"}, "CONSUL_CLIENT_KEY is not"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anybody_is_asked(url: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(AddressError, match=said.replace("?", r"\?")) as raised:
        Location.read(url, environ)

    assert "hush" not in str(raised.value)


def test_a_single_read_is_consistent_unless_stale_answers_will_do() -> None:
    assert Location.read("consul://c/a?dc=prag", {}).strictest == (("dc", "prag"), ("consistent", ""))
    assert Location.read("consul://c/a?stale", {}).strictest == (("stale", ""),)
