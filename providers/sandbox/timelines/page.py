"""What came of all replays as a Markdown page: how near each was, and when what mattered happened, there and here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from providers.sandbox.timelines.recording import Row

_BEGINNING = 0.5  # seconds: what was so at the start is no event
_TELLING = ("write", "ASK", "autopilot")
_WIDTH = 110

HEAD = """\
# Server timelines: recorded and ours

What real Nomad 2.0.5 servers were recorded to do, done again by the sandbox's. Written by
`./task timelines -- --markdown tests/recordings/servers/*.json`; `--table` lists every change that was compared. The
suite holds each of them to two seconds (where a recording waits long for something, to 20 % of that).

"""


class Compared(Protocol):
    """What the page needs of a verdict."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def pairs(self) -> tuple[tuple[Row, Row], ...]: ...  # noqa: D102

    @property
    def brief(self) -> int: ...  # noqa: D102

    @property
    def apart_max(self) -> float: ...  # noqa: D102

    @property
    def differences(self) -> tuple[object, ...]: ...  # noqa: D102


def page(verdicts: Iterable[Compared]) -> str:
    """Give the page."""
    known = list(verdicts)
    agree = sum(not v.differences for v in known)
    compared = sum(len(v.pairs) for v in known)
    apart = max((v.apart_max for v in known), default=0.0)
    said = f"{agree} of {len(known)} agree; {compared} changes compared, at most {apart:.1f} s apart.\n\n"
    return "".join([HEAD, said, *_summary(known), *(line for verdict in known for line in _events(verdict))])


def _summary(verdicts: Iterable[Compared]) -> Iterator[str]:
    yield "| timeline | | changes | at most apart | too brief for both |\n| --- | --- | --- | --- | --- |\n"
    for v in verdicts:
        word = "differs" if v.differences else "agrees"
        yield f"| [{v.name}](#{v.name}) | {word} | {len(v.pairs)} | {v.apart_max:.1f} s | {v.brief} |\n"


def _events(verdict: Compared) -> Iterator[str]:
    told = [(recorded, ours) for recorded, ours in verdict.pairs if recorded.at > _BEGINNING]
    shown = [pair for pair in told if pair[0].who in _TELLING] or told
    yield f"\n## {verdict.name}\n\n| event | recorded s | ours s |\n| --- | --- | --- |\n"
    for recorded, ours in sorted(shown, key=lambda pair: pair[0].at):
        text = f"{recorded.who}: {recorded.what}".replace("|", "\\|").replace("\n", " ")
        text = text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
        yield f"| {text} | {recorded.at:.1f} | {ours.at:.1f} |\n"
