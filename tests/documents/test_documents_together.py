"""Several documents: in one file, and in several."""

from __future__ import annotations

from schemas.document import check_together
from support.documents import SMALL, loaded

NODES = "  pools: [{name: general}, {name: batch, nodePool: batch}]\n"


def _named(name: str, rest: str) -> str:
    return SMALL.replace("small", name) + rest


def _said(*files: str) -> list[str]:
    return [str(p) for p in check_together(loaded(text, file=f"{chr(97 + i)}.yaml") for i, text in enumerate(files))]


def test_a_name_used_in_two_files_is_told_in_both_naming_the_other() -> None:
    one, two = _said(_named("prod", "  servers: {}\n"), "# moved down\n" + _named("prod", "  servers: {}\n"))

    assert one.startswith('a.yaml:3:18: metadata.name: the group "prod" is also in b.yaml:4;')
    assert two.startswith('b.yaml:4:18: metadata.name: the group "prod" is also in a.yaml:3;')


def test_two_groups_of_one_cluster_must_not_share_a_node_pool() -> None:
    problems = _said(_named("one", NODES), _named("two", NODES.replace("nodePool: batch", "nodePool: other")))

    assert len(problems) == 2
    assert problems[0].startswith("a.yaml:12:11: spec.pools[0]: datacenter dc1, node pool default is also managed by")
    assert "two/general (b.yaml:12)" in problems[0]
    assert "also managed by one/general (a.yaml:12)" in problems[1]


def test_groups_of_different_clusters_may_share_every_name_inside() -> None:
    here, there = (f"  nomad: {{address: https://nomad.{region}:4646}}\n" for region in ("use1", "usw2"))

    assert _said(_named("one", here + NODES), _named("two", there + NODES)) == []
    assert _said(_named("one", "  servers: {}\n" + NODES), _named("two", "  servers: {}\n" + NODES)) == []
    assert len(_said(_named("one", here + NODES), _named("two", here.replace(":4646", ":4646/") + NODES))) == 4


def test_a_datacenter_of_its_own_is_enough() -> None:
    other = NODES.replace("general", "general, datacenter: dc2").replace("batch,", "batch, datacenter: dc2,")

    assert _said(_named("one", NODES), _named("two", other)) == []


def test_pairs_within_one_file_are_told_when_it_is_loaded_and_not_again() -> None:
    both = _named("prod", "  servers: {}\n") + "---\n" + _named("prod", "  servers: {}\n")

    assert len(loaded(both).problems) == 2
    assert _said(both) == []


def test_a_bad_document_does_not_take_the_good_one_in_its_file_with_it() -> None:
    result = loaded(_named("good", "  servers: {}\n") + "---\n" + _named("bad", "  servers: {count: 2}\n"))

    assert [group.group.metadata.name for group in result.groups] == ["good"]
    assert len(result.problems) == 1


def test_a_document_with_a_key_twice_is_not_taken() -> None:
    """Whichever of the two was meant, the other was not."""
    result = loaded(
        _named("good", "  servers: {}\n") + "---\n" + _named("bad", "  servers: {}\n  servers: {count: 5}\n")
    )

    assert [group.group.metadata.name for group in result.groups] == ["good"]


def test_documents_before_a_break_in_the_text_are_read_and_told() -> None:
    result = loaded(_named("bad", "  servers: {count: 2}\n") + "---\n" + _named("worse", "  servers: {count: [}\n"))

    assert [problem.line for problem in result.problems] == [12, 25]


def test_empty_documents_between_others_are_passed_over() -> None:
    result = loaded("---\n# nothing\n---\n" + _named("good", "  servers: {}\n") + "---\n")

    assert result.problems == ()
    assert len(result.groups) == 1


def test_a_loaded_group_can_say_where_its_parts_stand() -> None:
    (group,) = loaded(_named("prod", "  servers: {count: 3}\n"), file="prod.yaml").groups

    found = group.problem(("spec", "servers", "count"), "odd", "even")
    assert str(found) == "prod.yaml:12:20: spec.servers.count: odd; even"
    assert str(group.problem(("spec", "limits", "maxNodes"), "low")) == "prod.yaml:4:1: spec.limits.maxNodes: low"
