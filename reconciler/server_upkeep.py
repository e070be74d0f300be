"""What servers need beside their number: a snapshot, an address, the first token; none of it touches the quorum."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import assert_never

from reconciler.archive import snapshot_name, surplus, unreadable
from reconciler.errors import GuardError
from reconciler.journal import Journal
from reconciler.ports import Clock, Ec2, Nomad, SnapshotPlace
from schemas.document import ClusterGroup
from schemas.faults import Fault, Source, UnansweredError
from schemas.plan import BootstrapAcl, GiveAddress, SaveSnapshot, UpkeepAction
from schemas.servers import SavedSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUpkeep:
    """Carries out one group's upkeep actions."""

    group: ClusterGroup
    clock: Clock
    ec2: Ec2
    nomad: Nomad
    journal: Journal
    snapshots: SnapshotPlace | None
    secret: str  # the bootstrap token; "" where none was found

    async def perform(self, action: UpkeepAction) -> None:
        """Carry out an action. Raises GuardError or a Fault when it was not, or may not have been, done."""
        match action:
            case SaveSnapshot():
                await self._save(action)
            case GiveAddress():
                await self.ec2.associate_address(action.allocation_id, action.instance_id)
            case BootstrapAcl():
                if not self.secret:
                    why = f"nothing was found at nomad.bootstrapToken {self.group.spec.nomad.bootstrap_token}"
                    raise GuardError(key=action.key, why=why)
                await self.nomad.acl_bootstrap(self.secret)
            case _:
                assert_never(action)

    async def _save(self, action: SaveSnapshot) -> None:
        """Save, read back, compare, and only then forget the oldest; what fails is tried again some minutes later."""
        ledger = self.journal.ledger
        if ledger is None or self.snapshots is None:
            raise UnansweredError(Source.SNAPSHOTS, action.key, "the journal, or the place of snapshots, is not known")
        now = self.clock.now()
        try:
            saved = await self._saved(action, self.snapshots)
        except Fault:
            tried = replace(ledger.servers, save_failed_at=now)
            with contextlib.suppress(Fault):
                await self.journal.write(replace(ledger, servers=tried))
            raise
        await self.journal.write(replace(ledger, servers=replace(ledger.servers, saved=saved, save_failed_at=None)))
        with contextlib.suppress(Fault):  # one too many is no harm: the next one tries again
            names = await self.snapshots.names(action.to)
            for name in surplus(names, self.group.metadata.name, action.keep):
                await self.snapshots.delete(action.to, name)

    async def _saved(self, action: SaveSnapshot, place: SnapshotPlace) -> SavedSnapshot:
        state = await self.nomad.snapshot()
        now = self.clock.now()
        name = snapshot_name(self.group.metadata.name, now)
        if (why := unreadable(state.archive, state.sha256)) is not None:
            raise UnansweredError(Source.NOMAD, "snapshot", f"what Nomad gave cannot be restored: {why}")
        await place.put(action.to, name, state.archive)
        if (why := unreadable(await place.get(action.to, name), state.sha256)) is not None:
            raise UnansweredError(Source.SNAPSHOTS, f"read {action.to}/{name}", f"what was written differs: {why}")
        return SavedSnapshot(name=name, at=now, sha256=state.sha256, size=len(state.archive))
