"""The calls about rights: the first management token, and whether a token that is used sees all that there is."""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec

from providers.http import Answer
from providers.nomad.channel import Channel
from providers.nomad.faults import is_html
from providers.nomad.shapes import objects
from schemas.faults import OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError

BOOTSTRAP = "/v1/acl/bootstrap"
DONE_BEFORE = "reset index"  # "already done (…: 7)", or "Invalid … (specified 7, …: 13)" where an old file lies about
MANAGEMENT = "management"
ANY_NAMESPACE = "nomad-reconciler-any"
ACL_OFF = "ACL support disabled"
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
READS_JOBS = {"list-jobs", "read-job"}


class _Token(msgspec.Struct):
    Type: str
    SecretID: str = ""


class _Stub(msgspec.Struct):
    Name: str


_STUBS = msgspec.json.Decoder(list[_Stub] | None)


class _NamespaceRule(msgspec.Struct):
    Name: str
    Capabilities: list[str] | None = None  # those that ``policy`` stands for included


class _Rules(msgspec.Struct):
    Namespaces: list[_NamespaceRule] | None = None


class _Policy(msgspec.Struct):
    RulesJSON: _Rules | None = None


class AclCalls:
    """See the module."""

    channel: Channel

    async def acl_bootstrap(self, secret: str) -> None:
        """Make ``secret`` the first management token, or see that it is one already."""
        if _UUID.fullmatch(secret) is None:
            said = "invalid token: what spec.nomad.bootstrapToken refers to is no UUID, and Nomad takes nothing else"
            raise RefusedError(Source.NOMAD, f"PUT {BOOTSTRAP}", said, why=Refusal.INVALID)
        answer = await self.channel.write(
            "PUT",
            BOOTSTRAP,
            body={"BootstrapSecret": secret},
            accept=lambda a: a.status == 200 or (a.status == 400 and DONE_BEFORE in a.text),
        )
        if answer.status == 200:
            _see_that_it_took(answer, secret)
            return
        if not await self._manages(secret):
            said = (
                f"{answer.text.strip()}, and not with the token of spec.nomad.bootstrapToken: that one is no management"
                " token here. Name the token that it was done with, or write the reset index into the file"
                " `acl-bootstrap-reset` in `server` under the leader's data_dir; the next attempt then takes."
            )
            raise RefusedError(Source.NOMAD, f"PUT {BOOTSTRAP}", said, why=Refusal.EXISTS, code="400")

    async def see_all_namespaces(self) -> None:
        """Raise UnansweredError for a token from which the jobs of some namespaces are hidden.

        Lists over all namespaces leave out, without a word, what a token may not read: work that nobody sees would be
        room that nobody needs. A rule for one name replaces that for ``*`` there (facts nomad §8).
        """
        a_name = (("namespace", ANY_NAMESPACE), ("per_page", "1"))  # it need not be there: rights are looked up by name
        covered = await self.channel.read(
            "/v1/jobs",
            a_name,
            decode=lambda a: a.status == 200 and objects(a) is not None,
            accept=lambda a: a.status in {200, 403} and not is_html(a),
        )
        if not covered:
            raise _hidden('it has no rule for `namespace "*"`, and later namespaces would be hidden from it')
        if self.channel.has_token and (hidden := await self._hidden_namespaces()):
            raise _hidden(f"its policies hide the jobs of {', '.join(hidden)}")

    async def _hidden_namespaces(self) -> list[str]:
        """Name the namespaces of which a policy of the token speaks and that it may not read."""
        kind = await self.channel.read(
            "/v1/acl/token/self",
            decode=lambda a: msgspec.json.decode(a.body, type=_Token).Type if a.status == 200 else MANAGEMENT,
            missing=("ACL token not found", ""),  # a workload's identity is no token, and has policies all the same
            accept=lambda a: a.status == 200 or (a.status == 400 and ACL_OFF in a.text),
        )
        if kind == MANAGEMENT:
            return []
        names = await self.channel.read(
            "/v1/acl/policy/self",
            decode=lambda a: [] if a.status == 403 else [p.Name for p in _STUBS.decode(a.body) or ()],
            accept=lambda a: a.status == 200 or (a.status == 403 and not is_html(a)),  # it has none of its own
        )
        may: dict[str, set[str]] = {}
        for name in names:
            policy = await self.channel.read(
                f"/v1/acl/policy/{quote(name, safe='')}", decode=lambda a: msgspec.json.decode(a.body, type=_Policy)
            )
            for rule in (policy.RulesJSON.Namespaces if policy.RulesJSON else None) or ():
                may.setdefault(rule.Name, set()).update(rule.Capabilities or ())
        return sorted(name for name, rights in may.items() if "deny" in rights or not rights >= READS_JOBS)

    async def _manages(self, secret: str) -> bool:
        """Tell whether a token may do everything; 403 and 404 are Nomad's words for one that it does not know."""

        def decode(answer: Answer) -> bool:
            return answer.status == 200 and msgspec.json.decode(answer.body, type=_Token).Type == MANAGEMENT

        return await self.channel.read(
            "/v1/acl/token/self",
            decode=decode,
            accept=lambda a: a.status == 200 or (a.status in {403, 404} and not is_html(a)),
            token=secret,
        )


def _see_that_it_took(answer: Answer, secret: str) -> None:
    """Refuse a success that is another token: an old server makes one of its own, which nobody would know."""
    try:
        made = msgspec.json.decode(answer.body, type=_Token)
    except msgspec.MsgspecError as error:
        said = f"the answer is not whole ({error}): it may have been done. Ask again: done before is success."
        raise OutcomeUnknownError(Source.NOMAD, f"PUT {BOOTSTRAP}", said) from error
    if made.SecretID != secret:
        said = "it was done with a token that the server made by itself: it is too old for a given one"
        raise RefusedError(Source.NOMAD, f"PUT {BOOTSTRAP}", said, why=Refusal.EXISTS)


def _hidden(why: str) -> UnansweredError:
    said = (
        f"the token in NOMAD_TOKEN does not see all jobs: {why}. Work that is not seen would be taken for free room."
        " Give it the rights that `reconcile iam` prints."
    )
    return UnansweredError(Source.NOMAD, "GET /v1/jobs", said)
