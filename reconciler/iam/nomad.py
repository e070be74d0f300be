"""What a Nomad token must allow the reconciler for one document, as an ACL policy in HCL (source: facts nomad §8)."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.document import ClusterGroup

BUILT_IN = frozenset({"default", "all"})
"""Node pools that Nomad has by itself: nobody makes them."""


def nomad_policy(group: ClusterGroup, *, namespace: str = "default", looks: bool = False) -> str:
    """Give the least policy for a document; ``namespace`` is where the journal's variables are.

    With ``looks``, and for a document whose mode is not ``enforce``, it allows nothing else.

    Rules of a named namespace or node pool replace those of ``*`` there, so each says all that is needed.
    """
    acts = not looks and group.spec.mode == "enforce"
    return "\n".join([*_namespaces(group, namespace, acts=acts), *_rest(group, acts=acts)]) + "\n"


def needs_management(group: ClusterGroup) -> bool:
    """Tell whether steps need a management token that the document does not name: raft's calls ask for no less."""
    return group.spec.servers is not None and group.spec.nomad.bootstrap_token is None


def _namespaces(group: ClusterGroup, namespace: str, *, acts: bool) -> Iterator[str]:
    moves = acts and bool(group.spec.pools)
    capabilities = ["list-jobs", "read-job", *(["plan-job", "alloc-lifecycle"] if moves else [])]
    listed = _quoted(capabilities)
    yield "# What waits and what runs, wherever it is" + (
        "; asks the scheduler about what waits, stops batch copies for Nomad to replace." if moves else "."
    )
    yield from ('namespace "*" {', f"  capabilities = [{listed}]", "}", "")
    yield "# The journal, the lock and the status of this group; a rule by name replaces the one above."
    variables = ["read", "write"] if acts else ["read"]
    yield from (
        f'namespace "{namespace}" {{',
        f"  capabilities = [{listed}]",
        "  variables {",
        f'    path "nomad-reconciler/{group.metadata.name}/*" {{',
        f"      capabilities = [{_quoted(variables)}]",
        "    }",
        "  }",
        "}",
        "",
    )


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _rest(group: ClusterGroup, *, acts: bool) -> Iterator[str]:
    if acts and group.spec.pools:
        yield "# Drains, eligibility, and forgetting nodes whose machines are gone."
        yield from ("node {", '  policy = "write"', "}", "")
    else:
        yield "# Which nodes and servers there are."
        yield from ("node {", '  policy = "read"', "}", "")
    yield from ('node_pool "*" {', '  policy = "read"', "}", "")
    if made := sorted({pool.node_pool for pool in group.spec.pools if acts} - BUILT_IN):
        yield "# Made when a pool names one that is not there; never deleted."
        for name in made:
            yield from (f'node_pool "{name}" {{', '  capabilities = ["read", "write"]', "}", "")
    servers = group.spec.servers if group.spec.nomad.bootstrap_token is None else None  # else that token is used
    if acts and servers is not None:
        yield "# Introduces servers to each other, and makes gossip forget dead ones."
        yield from ("agent {", '  policy = "write"', "}", "")
    yield "# Whether scheduling is paused" + (", and what autopilot says of the servers." if servers else ".")
    saves = ['  capabilities = ["snapshot-save"]'] if acts and servers is not None and servers.snapshots.every else []
    yield from ("operator {", '  policy = "read"', *saves, "}")
