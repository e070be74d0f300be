"""Where documents come from: files, directories and Consul, read and checked together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import anyio

from providers.files.place import FilePlace
from providers.prices.shipped import load_catalogue
from reconciler.machine import too_long
from schemas.catalogue import Catalogue
from schemas.document import ClusterGroup
from schemas.document.load import Loaded, LoadedGroup, check_together, load
from schemas.document.texts import AbsentError, Place, SilentError


def catalogue() -> Catalogue:
    """Give the shipped table of instance types and on-demand prices."""
    return load_catalogue()


class NoDocumentError(Exception):
    """What was named with ``--file`` holds no document, or names no place where documents can be."""


class SilentSourceError(Exception):
    """Whoever keeps the documents did not answer, or hides some of them: nothing is known of what should be."""


def documents(files: Sequence[str]) -> Loaded:
    """Read and check all documents, once: of files, of directories, and below prefixes in Consul.

    Raises NoDocumentError when a path is not there, cannot be read, or holds no document; SilentSourceError.
    """
    texts: dict[str, bytes] = {}
    for place in places(files):
        try:
            texts |= (place.read_now() if isinstance(place, FilePlace) else anyio.run(place.read)).of
        except AbsentError as error:
            raise NoDocumentError(str(error)) from error
        except SilentError as error:
            raise SilentSourceError(str(error)) from error
    return loaded_from(texts)


def places(files: Sequence[str]) -> tuple[Place, ...]:
    """Give the places that ``--file`` names. Raises NoDocumentError for an address that makes no sense."""
    return tuple(_consul(name) if name.startswith("consul://") else FilePlace(path=name) for name in files)


def _consul(url: str) -> Place:
    from providers.consul.place import ConsulPlace  # noqa: PLC0415 - httpx is for those who need it
    from providers.consul.settings import AddressError, Location  # noqa: PLC0415 - same

    try:
        return ConsulPlace(location=Location.read(url, os.environ))
    except AddressError as error:
        raise NoDocumentError(str(error)) from error


def loaded_from(texts: Mapping[str, bytes]) -> Loaded:
    """Check texts, each by itself and all together; $NOMAD_ADDR stands in where no address is given."""
    known = catalogue()
    each = [load(text, file=name, catalogue=known) for name, text in texts.items()]
    groups = [_addressed(group) for one in each for group in one.groups]
    nowhere = (g.problem(("spec", "nomad"), *NOWHERE) for g in groups if _lost(g.group))
    fat = (g.problem(*said) for g in groups for said in too_long(g.group, known))
    return Loaded(
        groups=tuple(groups),
        problems=(*(problem for one in each for problem in one.problems), *check_together(each), *nowhere, *fat),
        warnings=tuple(warning for one in each for warning in one.warnings),
        emptied=frozenset(file for one in each for file in one.emptied),
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
