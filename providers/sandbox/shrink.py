"""The smallest fault list that still fails: delta debugging over strikes, then over their figures.

Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input" (ddmin).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from providers.sandbox.faults import Strike

Script = tuple[Strike, ...]
TRIALS_MAX = 400


class _Trials:
    """Asks whether a script fails; each one once, and so many in all."""

    def __init__(self, fails: Callable[[Script], bool], trials_max: int) -> None:
        self._fails, self._left, self._known = fails, trials_max, dict[Script, bool]()

    def fails(self, script: Script) -> bool:
        """Tell whether a script fails; what nobody may try any more counts as passing."""
        if script not in self._known:
            if self._left == 0:
                return False
            self._left -= 1
            self._known[script] = self._fails(script)
        return self._known[script]


def shrink(script: Sequence[Strike], fails: Callable[[Script], bool], *, trials_max: int = TRIALS_MAX) -> Script:
    """Give a script from which no single strike can be left out, and whose figures are small where that is enough.

    ``fails`` runs a script and tells whether what was seen is seen again; it must hold for ``script`` (ValueError).
    After ``trials_max`` runs the smallest script so far is given.
    """
    trials, smallest = _Trials(fails, trials_max), tuple(script)
    if not trials.fails(smallest):
        raise ValueError("the script to be shrunk does not fail")
    if trials.fails(()):
        return ()
    smallest = _fewest(smallest, trials)
    return _mildest(smallest, trials)


def _fewest(script: Script, trials: _Trials) -> Script:
    """Leave out ever smaller parts, as long as what stays fails (ddmin)."""
    parts = 2
    while len(script) > 1:
        size = -(-len(script) // parts)
        without = (script[:start] + script[start + size :] for start in range(0, len(script), size))
        smaller = next((rest for rest in without if trials.fails(rest)), None)
        if smaller is not None:
            script, parts = smaller, max(2, parts - 1)
        elif size == 1:
            break
        else:
            parts = min(len(script), parts * 2)
    return script


def _mildest(script: Script, trials: _Trials) -> Script:
    """Halve each figure as long as that is enough."""
    for place in range(len(script)):
        while abs(script[place].figure) >= 1.0:
            milder = replace(script[place], figure=float(int(script[place].figure / 2)))
            tried = (*script[:place], milder, *script[place + 1 :])
            if not trials.fails(tried):
                break
            script = tried
    return script
