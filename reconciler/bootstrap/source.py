"""Where documents come from: files and directories, read and checked together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from providers.prices.shipped import load_catalogue
from schemas.catalogue import Catalogue
from schemas.document import ClusterGroup
from schemas.document.load import Loaded, LoadedGroup, check_together, load


def catalogue() -> Catalogue:
    """Give the shipped table of instance types and on-demand prices."""
    return load_catalogue()


class NoDocumentError(Exception):
    """What was named with ``--file`` holds no document."""


def documents(files: Sequence[str]) -> Loaded:
    """Read and check all documents: files, and directories (not recursive, ``*.yaml`` and ``*.yml``, by name).

    Raises NoDocumentError when a path is not there, cannot be read, or a directory holds no document.
    """
    known = catalogue()
    each = [load(_read(path), file=str(path), catalogue=known) for path in _paths(files)]
    groups = [_addressed(group) for one in each for group in one.groups]
    nowhere = (g.problem(("spec", "nomad"), *NOWHERE) for g in groups if _lost(g.group))
    return Loaded(
        groups=tuple(groups),
        problems=(*(problem for one in each for problem in one.problems), *check_together(each), *nowhere),
        warnings=tuple(warning for one in each for warning in one.warnings),
    )


NOWHERE = ("no servers are managed, and nothing says where Nomad is", "give address, or set NOMAD_ADDR")


def _addressed(loaded: LoadedGroup) -> LoadedGroup:
    """Let $NOMAD_ADDR stand in for an address that a document without servers leaves out (design §3)."""
    address = os.environ.get("NOMAD_ADDR")
    if not address or not _lost(loaded.group):
        return loaded
    spec = loaded.group.spec
    nomad = spec.nomad.model_copy(update={"address": address})
    group = loaded.group.model_copy(update={"spec": spec.model_copy(update={"nomad": nomad})})
    return replace(loaded, group=group)


def _lost(group: ClusterGroup) -> bool:
    return group.spec.servers is None and group.spec.nomad.address is None


def _paths(files: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for name in files:
        if name.startswith("consul://"):
            raise NoDocumentError(f"{name}: documents from Consul are not implemented yet; name a file or a directory")
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix in {".yaml", ".yml"} and not p.name.startswith("."))
            if not inside:
                raise NoDocumentError(f"{name}: no *.yaml in this directory (its subdirectories are not searched)")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise NoDocumentError(f"{name}: no such file or directory; --file names documents, the default is specs/")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoDocumentError(f"{path}: cannot be read: {error.strerror}") from error
