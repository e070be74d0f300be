"""User data that EC2 would refuse at the launch is refused before anything is sent, by every door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from providers.ec2.content import USER_DATA_MOST
from reconciler.user_data import LIMIT
from schemas.faults import Refusal, RefusedError
from schemas.world import Instance, Template
from support.ec2_doors import Inside, through
from support.whole_world import a_client_template, a_server_template, a_world

DOORS = ("port", "wire")
Asking = Callable[[Inside, Template], Awaitable[Instance | None]]


async def kept(at: Inside, template: Template) -> None:
    await at.ec2.create_template("demo", template)


async def launched(at: Inside, template: Template) -> Instance:
    return await at.ec2.run_instance(template, token="t", tags={})


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("ask", "template"), [(kept, a_client_template()), (launched, a_server_template("subnet-a1"))])
def test_too_much_is_refused_with_both_sizes_and_just_enough_is_not(door: str, ask: Asking, template: Template) -> None:
    def of(size: int) -> Template:
        return replace(template, user_data=template.user_data + "#" * (size - len(template.user_data.encode())))

    async def work(at: Inside) -> None:
        with pytest.raises(RefusedError, match="16,385 bytes, EC2 takes 16,384") as no:
            await ask(at, of(USER_DATA_MOST + 1))
        assert no.value.why is Refusal.SPECIFICATION
        await ask(at, of(USER_DATA_MOST))

    through(door, a_world(), work)


def test_what_is_rendered_is_held_to_the_same_limit() -> None:
    assert USER_DATA_MOST == LIMIT
