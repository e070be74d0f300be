"""What the pages about the sandbox say of recordings is about those that are here."""

from __future__ import annotations

from dataclasses import dataclass

from providers.sandbox.timelines.page import HEAD, page
from providers.sandbox.timelines.recording import Row, read
from support.documents import ROOT

PAGE = ROOT / "docs/reference/server-timelines.md"


@dataclass(frozen=True)
class One:
    """A verdict of one change and some events."""

    name: str = "one"
    pairs: tuple[tuple[Row, Row], ...] = ()
    brief: int = 0
    apart_max: float = 0.7
    differences: tuple[object, ...] = ()


def test_every_recorded_timeline_has_its_section() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text.startswith(HEAD)
    for path in (ROOT / "tests/recordings/servers").glob("*.json"):
        assert f"\n## {read(path).name}\n" in text


def test_events_stand_in_their_order_with_both_seconds_and_the_beginning_left_out() -> None:
    rows = [
        (Row(at, "write", what), Row(at + 0.5, "write", what))
        for at, what in ((9.0, "500"), (0.0, "200"), (4.0, "a|b"))
    ]
    text = page([One(pairs=tuple(rows)), One(name="two", differences=("x",))])

    assert "1 of 2 agree; 3 changes compared, at most 0.7 s apart" in text
    assert text.index(r"| write: a\|b | 4.0 | 4.5 |") < text.index("| write: 500 | 9.0 | 9.5 |")
    assert "write: 200" not in text
