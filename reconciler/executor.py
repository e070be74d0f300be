"""Actions become effects, one at a time and each key once: look again, guard, write down, act, write down."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import assert_never

from reconciler.errors import GuardError
from reconciler.guards import guard_forming, guard_garbage, guard_giving_up, guard_launch, guard_marker, guard_unused
from reconciler.journal import Intent, Journal, begun, finished
from reconciler.packing.refusals import refusals
from reconciler.ports import Clock, Ec2, Nomad, SnapshotPlace
from reconciler.server_effects import LOOKUP, ServerEffects, end_server
from reconciler.server_upkeep import ServerUpkeep
from schemas.document import ClusterGroup
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError
from schemas.names import client_token
from schemas.plan import (
    Action,
    CreateNodePool,
    CreateTemplate,
    DeleteTemplate,
    EndMachine,
    ForgetMember,
    FormingAction,
    FormServer,
    GiveUpForming,
    IntroduceServers,
    Launch,
    MarkFormed,
    Outcome,
    PoolAction,
    Result,
    ServerAction,
    UpkeepAction,
)
from schemas.world import TAG_CLAIM, TAG_STORE, FleetRequest, Instance, Role, Snapshot, Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Carries out actions of one group through the ports."""

    group: ClusterGroup
    clock: Clock
    ec2: Ec2
    nomad: Nomad
    journal: Journal
    snapshots: SnapshotPlace | None = None
    secret: str = field(default="", repr=False)  # the bootstrap token

    async def resume(self) -> list[Outcome]:
        """Take up what a crash or a lost reply cut short, as it was written down, not as planned today."""
        ledger = self.journal.ledger
        asked = self._servers.unfinished()
        outcomes = [await self._carried_out(asked, self._servers.resume(asked))] if asked else []
        return outcomes + ([await self._settle(i, ledger.store_id) for i in ledger.intents] if ledger else [])

    async def apply(self, action: Action, snapshot: Snapshot) -> Outcome:
        """Carry out one action of a plan made from ``snapshot``; asking again with the same key changes nothing.

        Raises no Fault: what the outside did not do is the outcome.
        """
        if isinstance(action, Launch):
            return await self._begun(action, snapshot)
        if isinstance(action, ServerAction):
            return await self._carried_out(action, self._servers.perform(action, snapshot))
        if isinstance(action, UpkeepAction):
            return await self._carried_out(action, self._kept_up(action))
        return await self._carried_out(action, self._perform(action))

    async def _carried_out(self, action: Action, effect: Awaitable[tuple[Instance, ...]]) -> Outcome:
        """Tell what came of an effect that needs no intent here: asked for again, it is asked for once."""
        try:
            instances = await effect
        except GuardError as refusal:
            return self._outcome(action, Result.REFUSED, refusal.why)
        except OutcomeUnknownError as fault:
            return self._outcome(action, Result.UNKNOWN, fault.message)
        except RefusedError as fault:
            return self._outcome(action, Result.REFUSED, str(fault))
        except UnansweredError as fault:
            return self._outcome(action, Result.FAILED, str(fault))
        return self._outcome(action, Result.DONE, instances=instances)

    async def _kept_up(self, action: UpkeepAction) -> tuple[Instance, ...]:
        upkeep = ServerUpkeep(
            group=self.group,
            clock=self.clock,
            ec2=self.ec2,
            nomad=self.nomad,
            journal=self.journal,
            snapshots=self.snapshots,
            secret=self.secret,
        )
        await upkeep.perform(action)
        return ()

    @property
    def _servers(self) -> ServerEffects:
        return ServerEffects(group=self.group, clock=self.clock, ec2=self.ec2, nomad=self.nomad, journal=self.journal)

    async def _perform(self, action: FormingAction | PoolAction) -> tuple[Instance, ...]:
        """Carry out what needs no intent, as asking for it twice is asking once; give the machines that came of it."""
        match action:
            case FormServer():
                return (await self._form(action),)
            case IntroduceServers():
                await self.nomad.join(action.asked, action.addresses)
            case GiveUpForming():
                await self._give_up(action)
            case ForgetMember():
                await self.nomad.force_leave(action.name)
            case MarkFormed():
                await self._mark(action)
            case CreateNodePool():
                await self.nomad.create_node_pool(action.name)
            case CreateTemplate():
                await self._create_template(action.template)
            case DeleteTemplate():
                guard_unused(action, self.journal.ledger)
                await self.ec2.delete_template(action.name)
            case EndMachine():
                await self._end(action)
            case _:
                assert_never(action)
        return ()

    async def _end(self, action: EndMachine) -> None:
        """End a machine that on a fresh look is still explained by nothing: EC2 and Nomad are asked again."""
        ledger = self.journal.ledger
        instances, nodes = await self.ec2.instances(self.group.metadata.name), await self.nomad.nodes()
        if guard_garbage(action, instances, nodes, ledger):
            await self.ec2.terminate([action.instance_id])

    # --- launches ----------------------------------------------------------------------------------------------------

    async def _begun(self, action: Launch, snapshot: Snapshot) -> Outcome:
        try:
            return await self._begin(action, snapshot)
        except GuardError as refusal:
            return self._outcome(action, Result.REFUSED, refusal.why)
        except RefusedError as fault:
            return self._outcome(action, Result.REFUSED, str(fault))
        except Fault as fault:
            return self._outcome(action, Result.FAILED, str(fault))

    async def _begin(self, action: Launch, snapshot: Snapshot) -> Outcome:
        ledger = self.journal.ledger
        if ledger is None:
            raise UnansweredError(Source.STORE, action.key, "the journal is not known")
        if (open_intent := ledger.intent(action.key)) is not None:
            return await self._settle(open_intent, ledger.store_id)
        instances = await self.ec2.instances(self.group.metadata.name)  # the plan is old by now
        fresh = replace(snapshot, instances=instances, claims=ledger.claims, ordinals=ledger.ordinals)
        guard_launch(action, fresh, self.group)
        now = self.clock.now()
        await self.journal.write(begun(ledger, action, now))  # before the effect, so that a crash leaves a trace
        return await self._settle(Intent(action=action, begun_at=now), ledger.store_id)

    async def _settle(self, intent: Intent, store_id: str) -> Outcome:
        """Ask for what an intent says, in its own words, and write what came of it. Never raises a Fault."""
        action = intent.action
        try:
            instances, outcome = await self._launch(intent, store_id)
        except OutcomeUnknownError as fault:
            return self._outcome(action, Result.UNKNOWN, f"{fault.message}: asked again with the same token")
        except UnansweredError as fault:
            return self._outcome(action, Result.UNKNOWN, f"{fault.message}: the intent stays open")
        try:
            await self._close(action, instances, outcome)
        except Fault as fault:
            return replace(outcome, result=Result.UNKNOWN, message=f"not written to the journal: {fault.message}")
        return outcome

    async def _launch(self, intent: Intent, store_id: str) -> tuple[tuple[Instance, ...], Outcome]:
        action = intent.action
        request = FleetRequest(
            token=client_token(self.group.metadata.name, action.claim, 1),
            template=action.template,
            market=action.market,
            count=action.count,
            overrides=action.overrides,
            tags={TAG_CLAIM: action.claim, TAG_STORE: store_id},
        )
        try:
            answer = await self.ec2.create_fleet(request)
        except RefusedError as fault:
            if fault.why in {Refusal.MISMATCH, Refusal.SPENT}:
                return await self._look_up(intent, fault)
            return (), self._outcome(action, Result.REFUSED, fault.message)
        given = len(answer.instances)
        errors = "; ".join(f"{e.market} {e.instance_type} in {e.zone}: {e.code}" for e in answer.errors)
        result = Result.DONE if given == action.count else Result.PARTLY if given else Result.REFUSED
        message = (
            errors if given == action.count else f"{given} of {action.count} machines; {errors or 'no reason given'}"
        )
        outcome = self._outcome(action, result, message, answer.instances)
        return answer.instances, replace(outcome, errors=answer.errors)

    async def _look_up(self, intent: Intent, fault: RefusedError) -> tuple[tuple[Instance, ...], Outcome]:
        """See what a used token gave, by the claim's tag; nothing for five minutes means that it gave nothing."""
        action = intent.action
        found = tuple(i for i in await self.ec2.instances(self.group.metadata.name) if i.claim == action.claim)
        if not found and self.clock.now() - intent.begun_at < LOOKUP:
            raise OutcomeUnknownError(Source.EC2, action.key, f"{fault.message}; looking for its machines by their tag")
        result = Result.DONE if len(found) >= action.count else Result.PARTLY if found else Result.REFUSED
        return found, self._outcome(action, result, fault.message, found)

    async def _close(self, action: Launch, instances: tuple[Instance, ...], outcome: Outcome) -> None:
        ledger = self.journal.ledger
        if ledger is None:
            raise UnansweredError(Source.STORE, "write journal", "its record is gone since it was read")
        now = self.clock.now()
        marked = refusals(ledger.refused, action, outcome.errors, now)
        await self.journal.write(finished(ledger, action, tuple(i.id for i in instances), marked, now))

    # --- forming -----------------------------------------------------------------------------------------------------

    async def _form(self, action: FormServer) -> Instance:
        """Ask for a slot's machine: each attempt is a template first; a higher one only after EC2's no."""
        guard_forming(action, await self.ec2.template_names(action.group), await self.ec2.instances(action.group))
        life, attempt = action.life, action.attempt
        refused: list[RefusedError] = []
        for _ in action.requests:
            template = await self._create_template(action.asked(life, attempt))
            token = client_token(action.group, template.tags[TAG_CLAIM], attempt)
            try:
                return await self.ec2.run_instance(template, token=token, tags=template.tags)
            except RefusedError as no:
                refused.append(no)
                if no.why is Refusal.SPENT:  # its machine came and is gone: the slot's next life
                    life, attempt = life + 1, 0
                elif no.why in {Refusal.CAPACITY, Refusal.QUOTA, Refusal.IMPOSSIBLE}:
                    attempt += 1
                else:
                    raise
        raise refused[-1]

    async def _create_template(self, template: Template) -> Template:
        """Make a template, or take the one that has its name: what is stored is what is asked."""
        try:
            await self.ec2.create_template(self.group.metadata.name, template)
        except RefusedError as no:
            if no.why is not Refusal.EXISTS:
                raise
            if (stored := await self.ec2.template(template.name)) is None:
                raise UnansweredError(Source.EC2, template.name, "its name is taken, and it cannot be read yet") from no
            return stored
        return template

    async def _give_up(self, action: GiveUpForming) -> None:
        templates, instances = await self.ec2.template_names(action.group), await self.ec2.instances(action.group)
        live = [i for i in instances if i.live and i.role == Role.SERVER]
        views = [await self.nomad.server_view(i.private_ip) for i in live]
        impaired = action.instance_id in await self.ec2.impaired([action.instance_id])
        guard_giving_up(action, templates, instances, views, impaired=impaired)
        await end_server(self.ec2, action.instance_id)

    async def _mark(self, action: MarkFormed) -> None:
        if self.group.spec.nomad.acl and self.secret:
            await self.nomad.acl_bootstrap(self.secret)  # nothing is formed whose first token anybody may still take
        servers = [i for i in await self.ec2.instances(self.group.metadata.name) if i.live and i.role == Role.SERVER]
        guard_marker(action, servers, [await self.nomad.server_view(i.private_ip) for i in servers])
        await self._create_template(action.marker)
        for name in action.attempts:
            await self.ec2.delete_template(name)

    def _outcome(
        self, action: Action, result: Result, message: str = "", instances: tuple[Instance, ...] = ()
    ) -> Outcome:
        ids = tuple(i.id for i in instances)
        return Outcome(action=action, result=result, at=self.clock.now(), message=message, instance_ids=ids)
