"""Server steps become effects: look at all witnesses again, guard, write the step down, act (semantics §10, §11)."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.guards import guard_server_step
from reconciler.journal import Journal, Ledger
from reconciler.packing.refusals import refusals
from reconciler.ports import Clock, Ec2, Nomad
from reconciler.reconcilers.servers.record import barren
from reconciler.witnesses import Witnesses
from schemas.document import ClusterGroup
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError
from schemas.names import client_token, parse_server_claim
from schemas.plan import (
    AddServer,
    Launch,
    QuorumChange,
    Reason,
    RemovePeer,
    ServerAction,
    TerminateServer,
    TransferLeadership,
)
from schemas.servers import ServerStep, StepKind
from schemas.world import (
    TAG_CLAIM,
    TAG_STORE,
    FleetError,
    Instance,
    Market,
    Override,
    Refused,
    Snapshot,
    Template,
)

LOOKUP = timedelta(minutes=5)  # so long a token that EC2 calls used may still show its machine (semantics §11)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEffects:
    """Carries out the one server step of a group."""

    group: ClusterGroup
    clock: Clock
    ec2: Ec2
    nomad: Nomad
    journal: Journal

    async def perform(self, action: ServerAction, snapshot: Snapshot) -> tuple[Instance, ...]:
        """Carry out an action; raises GuardError or a Fault when it was not, or may not have been, done."""
        ledger = self.journal.ledger
        if ledger is None:
            raise UnansweredError(Source.STORE, action.key, "the journal is not known")
        fresh = await self._look(snapshot, ledger)
        servers = self.group.spec.servers
        risk = servers is not None and servers.accept_data_loss_risk
        guard_server_step(action, fresh, servers.count if servers else 0, risk_accepted=risk)
        match action:
            case AddServer():
                return await self._add(action, ledger)
            case TransferLeadership():
                step = self._leaving(action.instance_id, action.reason)
                await self._write(replace(ledger, servers=replace(ledger.servers, step=step)))
                await self.nomad.transfer_leadership(action.to_id)
            case TerminateServer():
                await self._terminate(action, fresh, ledger)
            case RemovePeer():
                await self._remove_peer(action, ledger)
        return ()

    def unfinished(self) -> AddServer | None:
        """Give the server that was asked for and whose answer nobody has heard, as it was written."""
        step = self.journal.ledger.servers.step if self.journal.ledger else None
        if step is None or step.kind is not StepKind.ADD or step.instance_id:
            return None
        nothing = QuorumChange(voters=0, healthy=0, voters_after=0, healthy_after=0)
        template = Template(
            name=step.template, image_id="", user_data="", security_groups=(), instance_profile="", tags={}
        )
        return AddServer(
            claim=step.claim,
            template=template,
            zone=step.zone,
            cause=Reason.MISSING,
            change=nothing,
            reason=step.reason,
            price=0.0,
        )

    async def resume(self, action: AddServer) -> tuple[Instance, ...]:
        """Ask again for what ``unfinished`` gave, in the words that EC2 keeps. Raises a Fault."""
        ledger = self.journal.ledger
        if ledger is None or ledger.servers.step is None:
            return ()
        stored = await self.ec2.template(action.template.name)
        if stored is None:
            raise UnansweredError(Source.EC2, action.template.name, "the launch template cannot be read")
        return await self._ask(replace(action, template=stored), ledger, ledger.servers.step)

    # --- looking -----------------------------------------------------------------------------------------------------

    async def _look(self, snapshot: Snapshot, ledger: Ledger) -> Snapshot:
        """Look at the servers afresh, and twice: the plan is old by now."""
        instances = await self.ec2.instances(self.group.metadata.name)
        witnesses = Witnesses(clock=self.clock, ec2=self.ec2, nomad=self.nomad)
        views, look = await witnesses.look(instances, twice=True)
        now = self.clock.now()
        return replace(snapshot, observed_at=now, instances=instances, servers=views, look=look, record=ledger.servers)

    # --- adding ------------------------------------------------------------------------------------------------------

    async def _add(self, action: AddServer, ledger: Ledger) -> tuple[Instance, ...]:
        try:
            await self.ec2.create_template(self.group.metadata.name, action.template)
        except RefusedError as no:
            if no.why is not Refusal.EXISTS:  # its name is its content: what is there is the same
                raise
        life = (parse_server_claim(action.claim) or (0, 0))[1]
        step = ServerStep(
            kind=StepKind.ADD,
            reason=action.reason,
            begun_at=self.clock.now(),
            voluntary=action.cause is not Reason.MISSING,
            claim=action.claim,
            template=action.template.name,
            zone=action.zone,
            sure=True,
        )
        servers = replace(ledger.servers, step=step, lives=max(life, ledger.servers.lives))
        ledger = await self._write(replace(ledger, servers=servers))  # before the effect
        return await self._ask(action, ledger, step)

    async def _ask(self, action: AddServer, ledger: Ledger, step: ServerStep) -> tuple[Instance, ...]:
        """Ask EC2, and write its answer: a machine, or a no that closes the claim."""
        group = self.group.metadata.name
        token = client_token(group, action.claim, 0)
        tags = {TAG_CLAIM: action.claim, TAG_STORE: ledger.store_id}
        try:
            instance = await self.ec2.run_instance(action.template, token=token, tags=tags)
        except RefusedError as no:
            found = [i for i in await self.ec2.instances(group) if i.claim == action.claim and i.live]
            if not found:
                if no.why is Refusal.MISMATCH and self.clock.now() - step.begun_at < LOOKUP:
                    raise OutcomeUnknownError(Source.EC2, action.key, f"{no.message}; looking by its tag") from no
                await self._write(
                    replace(
                        ledger,
                        servers=replace(ledger.servers, step=None),
                        refused=self._refused(ledger, action, no),
                    )
                )
                raise
            instance = found[0]
        answered = replace(step, instance_id=instance.id)
        known = {**ledger.servers.known, instance.id: instance.private_ip}
        with contextlib.suppress(Fault):  # not written: asked again under the same token, with the same answer
            await self._write(replace(ledger, servers=replace(ledger.servers, step=answered, known=known)))
        return (instance,)

    def _refused(self, ledger: Ledger, action: AddServer, no: RefusedError) -> tuple[Refused, ...]:
        """Mark the offering that EC2 refused, as a pool's launch would."""
        kind, subnet = action.template.instance_type or "", action.template.subnet_id or ""
        error = FleetError(
            instance_type=kind,
            zone=action.zone,
            market=Market.ON_DEMAND,
            code=no.code,
            message=no.message,
            why=str(no.why),
        )
        way = Override(instance_type=kind, subnet_id=subnet, zone=action.zone, price=action.price)
        launch = Launch(
            claim=action.claim,
            pool="",
            market=Market.ON_DEMAND,
            count=1,
            overrides=(way,),
            template=action.template.name,
            contents=(),
            cause=action.cause,
            reason=action.reason,
        )
        return refusals(ledger.refused, launch, (error,), self.clock.now())

    # --- removing ----------------------------------------------------------------------------------------------------

    async def _terminate(self, action: TerminateServer, fresh: Snapshot, ledger: Ledger) -> None:
        before = ledger.servers.step
        step = self._leaving(
            action.instance_id,
            action.reason,
            voluntary=action.voluntary,
            address=action.address,
            peer_id=action.peer_id,
            sure=True,
        )
        servers = replace(ledger.servers, step=step)
        if before is not None and before.kind is StepKind.ADD:  # the one that joins is the one that goes
            servers = barren(servers, fresh, self.group)
        if before is not None and before.kind is StepKind.REMOVE and before.sure:
            servers = ledger.servers  # begun before: told again
        else:
            await self._write(replace(ledger, servers=servers))
        await end_server(self.ec2, action.instance_id)

    async def _remove_peer(self, action: RemovePeer, ledger: Ledger) -> None:
        if ledger.servers.step is None:
            step = self._leaving(
                action.instance_id,
                action.reason,
                address=action.address.rpartition(":")[0],
                peer_id=action.peer_id,
                sure=True,
            )
            await self._write(replace(ledger, servers=replace(ledger.servers, step=step)))
        await self.nomad.remove_peer(action.peer_id)
        with contextlib.suppress(Fault):  # gossip's memory hurts nobody: names are never used again
            await self.nomad.force_leave(action.name)

    def _leaving(
        self,
        instance_id: str,
        reason: str,
        *,
        voluntary: bool = False,
        address: str = "",
        peer_id: str = "",
        sure: bool = False,
    ) -> ServerStep:
        return ServerStep(
            kind=StepKind.REMOVE,
            reason=reason,
            begun_at=self.clock.now(),
            voluntary=voluntary,
            instance_id=instance_id,
            address=address,
            peer_id=peer_id,
            sure=sure,
        )

    async def _write(self, ledger: Ledger) -> Ledger:
        await self.journal.write(ledger)
        return ledger


async def end_server(ec2: Ec2, instance_id: str) -> None:
    """End a server's machine, its termination protection lifted when EC2 names it. Raises a Fault."""
    try:
        await ec2.terminate([instance_id])
    except RefusedError as no:
        if no.why is not Refusal.PROTECTED:
            raise
        await ec2.protect(instance_id, on=False)
        await ec2.terminate([instance_id])
