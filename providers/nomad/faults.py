"""What Nomad's refusals mean for us: status and text become one of our faults, with a sentence that says what to do.

Statuses alone tell little: an election, a missing node and an invalid job are all 500 (facts nomad §1.1).
"""

from __future__ import annotations

from providers.http import Answer
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError

OVERLOADED = frozenset({429, 502, 503, 504})
_NO_LEADER = ("No cluster leader", "no leader")
_NOT_FORWARDED = ("failed to get conn", "Not ready to serve consistent reads", "No path to")
_CUT_ON_THE_WAY = ("leadership lost while committing", "raft apply failed", "stream closed", "EOF", "connection reset")


def leaderless(answer: Answer) -> bool:
    """The server held the call for some seconds and heard of no leader; another server may know one."""
    return answer.status == 500 and any(voice in answer.text for voice in _NO_LEADER)


def passing(answer: Answer) -> bool:
    """Asking for the same thing again soon may be answered; every 500 of a read is silence, not an answer."""
    if answer.status in OVERLOADED:
        return not answer.text.startswith("{")  # autopilot's 429 with a body is an answer
    return answer.status == 500 and not leaderless(answer) and "No path to region" not in answer.text


def is_html(answer: Answer) -> bool:
    """A page for people: some proxy's, never Nomad's API."""
    return "html" in answer.headers.get("content-type", "") or answer.text[:100].lstrip().lower().startswith(
        ("<!doctype", "<html")
    )


def fault_of(answer: Answer, source: Source, what: str, *, where: str, writes: bool) -> Fault:
    """Translate an answer that is no success. ``where`` is the address that gave it.

    A read is never refused: who is not told has learnt nothing.
    """
    fault = _fault_of(answer, source, what, where, writes=writes)
    return fault if writes else UnansweredError(source, what, fault.message)


def _fault_of(answer: Answer, source: Source, what: str, where: str, *, writes: bool) -> Fault:
    text = answer.text
    if answer.status in {401, 403} and not is_html(answer):
        said = (
            f"{where} answers {answer.status} {text!r}: the token in NOMAD_TOKEN is missing, has expired or may not do"
            " this. Give it the rights that `reconcile iam` prints."
        )
        return _refused(source, what, said, Refusal.SPECIFICATION, 403)
    if is_html(answer) or 300 <= answer.status < 400 or answer.status in OVERLOADED:
        return _from_in_between(answer, source, what, where)
    if answer.status == 500:
        return _five_hundred(answer, source, what, where, writes=writes)
    if answer.status == 409:
        return _refused(source, what, f"somebody else wrote first ({_short(text)})", Refusal.CONFLICT, 409)
    if answer.status == 404 and not text:
        said = f"{where} does not know this path: is it Nomad, and is it new enough (1.11.3 or 2.0.2 at least)?"
        return _refused(source, what, said, Refusal.INVALID, 404)
    if 400 <= answer.status < 500 or answer.status == 501:
        return _refused(
            source, what, f"{where} answers {answer.status}: {_short(text)}", Refusal.INVALID, answer.status
        )
    said = f"{where} answers {answer.status} {_short(text)!r}, which Nomad never says; is there a proxy in between?"
    return _unsure(source, what, said)


def _five_hundred(answer: Answer, source: Source, what: str, where: str, *, writes: bool) -> Fault:
    text = answer.text
    if leaderless(answer):
        said = (
            f"{where} knows no leader ({_short(text)!r}): an election, which passes within seconds, or quorum is lost."
            " See `reconcile status` for the voters."
        )
        return _silent(source, what, said)
    if "No path to region" in text:
        said = f"{where} knows no such region; set spec.nomad.region or NOMAD_REGION to one of its /v1/regions."
        return _silent(source, what, said)
    if any(voice in text for voice in _NOT_FORWARDED):
        return _silent(source, what, f"{where} could not reach the leader ({_short(text)!r}); this passes, ask again.")
    if any(voice in text for voice in _CUT_ON_THE_WAY):
        so = "it may have happened. Look before you repeat it" if writes else "an election, which passes. Ask again"
        return _unsure(source, what, f"{where} lost the leader on the way ({_short(text)!r}): {so}.")
    return _refused(source, what, f"{where} answers 500: {_short(text)}", Refusal.INVALID, 500)


def _from_in_between(answer: Answer, source: Source, what: str, where: str) -> Fault:
    """Whoever said this stands between us and Nomad, or is Nomad's listener before it read the request."""
    text = answer.text
    if answer.status == 429:
        said = f"{where} refuses connections ({_short(text)!r}): more than 100 at once from here. It is asked again."
        return _silent(source, what, said)
    if 300 <= answer.status < 400:
        to = answer.headers.get("location", "elsewhere")
        said = f"{where} redirects to {to}; set spec.nomad.address or NOMAD_ADDR to the API itself."
        return _silent(source, what, said)
    page = f"a page ({_short(text)!r})" if is_html(answer) else f"{_short(text)!r}"
    said = (
        f"{where} answers {answer.status} with {page}: a proxy's words, not Nomad's. Check the address and the proxy."
    )
    surely_not = answer.status in {401, 403, 404}
    return _silent(source, what, said) if surely_not else _unsure(source, what, said)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:157]}..."


def _silent(source: Source, what: str, said: str) -> UnansweredError:
    return UnansweredError(source, what, said)


def _unsure(source: Source, what: str, said: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(source, what, said)


def _refused(source: Source, what: str, said: str, why: Refusal, status: int) -> RefusedError:
    return RefusedError(source, what, said, why=why, code=str(status))
