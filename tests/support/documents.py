"""Documents for tests: loading with the shipped catalogue, and a small one to vary."""

from __future__ import annotations

from pathlib import Path

from providers.prices.shipped import load_catalogue
from schemas.document import ClusterGroup, Loaded, load

ROOT = Path(__file__).resolve().parents[2]

SMALL = """\
apiVersion: nomad-reconciler/v1alpha1
kind: ClusterGroup
metadata: {name: small}
spec:
  aws:
    region: us-east-1
    subnets:
      - {id: subnet-a1, zone: us-east-1a}
      - {id: subnet-b1, zone: us-east-1b}
      - {id: subnet-c1, zone: us-east-1c}
  machine: {images: {x86_64: ami-0123}}
"""


def loaded(text: str | bytes, *, file: str = "x.yaml") -> Loaded:
    return load(text, file=file, catalogue=load_catalogue())


def group_of(text: str) -> ClusterGroup:
    result = loaded(text)
    assert result.problems == ()
    return result.groups[0].group


def told(text: str | bytes) -> list[str]:
    """Give the problems of a text as a person reads them, without the file's name."""
    return [str(problem).removeprefix("x.yaml:") for problem in loaded(text).problems]


def warned(text: str) -> list[str]:
    result = loaded(text)
    assert result.problems == ()
    return [str(problem).removeprefix("x.yaml:") for problem in result.warnings]
