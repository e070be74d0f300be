"""The calls about rights: the first management token, and whether a token that is used sees all that there is."""

from __future__ import annotations

import msgspec

from providers.http import Answer
from providers.nomad.channel import Channel
from providers.nomad.faults import is_html
from schemas.faults import OutcomeUnknownError, Refusal, RefusedError, Source

BOOTSTRAP = "/v1/acl/bootstrap"
DONE_BEFORE = "ACL bootstrap already done"
MANAGEMENT = "management"


class _Token(msgspec.Struct):
    SecretID: str
    Type: str


class AclCalls:
    """See the module."""

    channel: Channel

    async def acl_bootstrap(self, secret: str) -> None:
        """Make ``secret`` the first management token, or see that it is one already."""
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
