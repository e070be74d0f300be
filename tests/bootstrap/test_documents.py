"""Which files are documents, and where Nomad is when a document does not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.bootstrap.source import NoDocumentError, documents

SERVERS = "  servers: {count: 3}\n"
DOCUMENT = """\
apiVersion: nomad-reconciler/v1alpha1
kind: ClusterGroup
metadata: {name: NAME}
spec:
  aws:
    region: us-east-1
    subnets:
      - {id: subnet-a1, zone: us-east-1a}
      - {id: subnet-b1, zone: us-east-1b}
  machine:
    images: {x86_64: ami-0123}
"""


def write(folder: Path, name: str, *, servers: bool = True, group: str | None = None) -> Path:
    path = folder / name
    path.write_text(DOCUMENT.replace("NAME", group or path.stem) + (SERVERS if servers else ""))
    return path


def names(*files: Path) -> list[str]:
    loaded = documents([str(f) for f in files])
    assert loaded.problems == ()
    return [one.group.metadata.name for one in loaded.groups]


def test_a_directory_gives_its_yaml_files_by_name_and_looks_no_deeper(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "notes.txt"):
        write(tmp_path, name)
    (tmp_path / "deeper").mkdir()
    write(tmp_path / "deeper", "c.yaml")

    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("name", ["nowhere.yaml", "nowhere/"])
def test_a_path_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoDocumentError, match="nowhere"):
        documents([str(tmp_path / name)])


def test_a_directory_without_documents_is_no_empty_wish(tmp_path: Path) -> None:
    with pytest.raises(NoDocumentError, match="no \\*\\.yaml"):
        documents([str(tmp_path)])


def test_user_data_that_ec2_would_refuse_is_a_problem_with_its_place_and_its_size(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml")
    noise = "".join(f"{n * n * 7919:x}" for n in range(5000))
    pool = f"  pools:\n    - name: big\n      machine: {{agentConfig: {{client: {{options: {{x: '{noise}'}}}}}}}}\n"
    path.write_text(path.read_text() + pool)

    (problem,) = documents([str(path)]).problems

    assert (problem.file, problem.line, problem.path) == (str(path), 14, "spec.pools[0]")
    assert "EC2 takes 16,384" in problem.message


def test_one_group_in_two_files_is_a_problem_of_both(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", group="prod")
    write(tmp_path, "b.yaml", group="prod")
    loaded = documents([str(tmp_path)])

    assert {Path(p.file).name for p in loaded.problems} == {"a.yaml", "b.yaml"}


def test_nomad_addr_stands_in_for_an_address_that_nobody_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_ADDR", "https://nomad.example:4646")
    (loaded,) = documents([str(write(tmp_path, "a.yaml", servers=False))]).groups

    assert loaded.group.spec.nomad.address == "https://nomad.example:4646"


def test_nomad_addr_says_nothing_about_servers_that_we_manage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found through EC2; a shell that points at another cluster must not turn us to it."""
    monkeypatch.setenv("NOMAD_ADDR", "https://another.example:4646")
    (loaded,) = documents([str(write(tmp_path, "a.yaml"))]).groups

    assert loaded.group.spec.nomad.address is None


def test_without_servers_and_without_any_address_the_document_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOMAD_ADDR", raising=False)
    (problem,) = documents([str(write(tmp_path, "a.yaml", servers=False))]).problems

    assert "nothing says where Nomad is" in problem.message
    assert "NOMAD_ADDR" in problem.hint
