"""What a client finds out about its machine when it starts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.sandbox.world.kernel import Kernel
    from providers.sandbox.world.nomad.agent import AgentSpec
    from providers.sandbox.world.nomad.settings import Settings

_SIGNALS = (
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGNULL",
    "SIGPIPE",
    "SIGPROF",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
)


def fingerprint(spec: AgentSpec, settings: Settings, kernel: Kernel) -> dict[str, str]:
    """Give the node's attributes: those of the specification, and what is missing of the usual ones.

    ``os.signals`` lists the signals in random order at each start, which makes every node a computed class of its own
    (source: recordings, finding 1); a denylist with ``signal`` leaves it out.
    """
    address = spec.address or _address(spec.name)
    found = {
        "cpu.arch": "amd64",
        "cpu.numcores": str(len(spec.cores) or 1),
        "cpu.totalcompute": str(spec.cpu_mhz),
        "cpu.usablecompute": str(spec.cpu_mhz),
        "kernel.name": "linux",
        "memory.totalbytes": str(spec.memory_mib * 1024 * 1024),
        "nomad.version": settings.version,
        "os.name": "debian",
        "unique.hostname": spec.name,
        "unique.network.ip-address": address,
        "unique.storage.bytestotal": str(spec.disk_mib * 1024 * 1024),
    }
    found.update({f"driver.{name}": "1" for name in spec.drivers})
    found.update(spec.attributes)
    if "signal" not in spec.fingerprint_denylist:
        signals = list(_SIGNALS)
        kernel.chance().shuffle(signals)
        found["os.signals"] = ",".join(signals)
    return found


def _address(name: str) -> str:
    """Give a machine without an address one that depends on its name alone."""
    h = hashlib.sha256(name.encode()).digest()
    return f"10.{h[0] % 64 + 64}.{h[1]}.{h[2] % 254 + 1}"
