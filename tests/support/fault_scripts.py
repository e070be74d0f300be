"""When a run with faults fails: the script that replays it, and the smallest one that still does."""

from __future__ import annotations

from collections.abc import Callable

from providers.sandbox.faults import Faults, Strike, read_script
from providers.sandbox.shrink import shrink

TRIALS_MAX = 120  # runs that looking for the smallest script may take


def judge(play: Callable[[Faults], None], faults: Faults, *, trials_max: int = TRIALS_MAX) -> None:
    """Play a run; where it fails, play it again and again with fewer faults, and fail with the smallest script.

    ``play`` must play the same run each time, but for the faults it is given.
    """
    try:
        play(faults)
    except Exception as wrong:
        told = f"{type(wrong).__name__}: {wrong}\n\nthe script that replays it:\n{faults.as_script()}"
        raise AssertionError(f"{told}\n{_smallest(play, tuple(faults.struck), trials_max)}") from wrong


def replayed(play: Callable[[Faults], None], script: str) -> None:
    """Play a run with the faults of a printed script."""
    play(Faults(script=read_script(script)))


def _smallest(play: Callable[[Faults], None], script: tuple[Strike, ...], trials_max: int) -> str:
    try:
        smallest = shrink(script, lambda tried: _fails(play, tried), trials_max=trials_max)
    except ValueError:
        return "played again by its script it does not fail: something beside the faults decides"
    return f"the smallest that fails ({len(smallest)} of {len(script)}):\n{Faults(struck=list(smallest)).as_script()}"


def _fails(play: Callable[[Faults], None], script: tuple[Strike, ...]) -> bool:
    try:
        play(Faults(script=script))
    except Exception:  # noqa: BLE001 - whatever goes wrong is what is looked for
        return True
    return False
