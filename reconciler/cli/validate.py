"""``reconcile validate``: tells whether documents are sound."""

from __future__ import annotations

from reconciler.cli.exits import INVALID, ExitError
from reconciler.cli.gather import documents_of, loaded_of, problems
from reconciler.cli.options import Given
from reconciler.cli.show.plain import print_plain, print_text
from reconciler.cli.streams import tell


def validate(given: Given) -> None:
    """Check documents; ends with 65 when one is not sound."""
    if given.output != "text":
        _for_programs(given)
        return
    found = documents_of(given, warn=True)
    for document in found:
        spec = document.group.spec
        servers = f"{spec.servers.count} servers" if spec.servers else "servers left alone"
        pools = ", ".join(pool.name for pool in spec.pools) or "none"
        print_text(f"{document.file}: {document.group.metadata.name}: valid ({servers}; pools: {pools})")
    warned = sum(len(document.warnings) for document in found)
    count = f"{len(found)} document{'s are' if len(found) != 1 else ' is'} valid"
    print_text(f"{count}, with {warned} warning{'s' * (warned != 1)}" if warned else count)


def _for_programs(given: Given) -> None:
    """Print everything as data: documents, problems, warnings."""
    loaded = loaded_of(given)
    documents = [
        {"file": one.file, "name": one.group.metadata.name, "digest": one.digest}
        for one in loaded.groups
        if not given.group or one.group.metadata.name in given.group
    ]
    print_plain(
        {
            "valid": not loaded.problems,
            "documents": documents,
            "problems": loaded.problems,
            "warnings": loaded.warnings,
        },
        given.output,
    )
    if loaded.problems:
        tell(problems(len(loaded.problems)))
        raise ExitError(INVALID)
