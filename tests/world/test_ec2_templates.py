"""Launch templates: a name is unique, and what is stored is what comes back."""

from __future__ import annotations

import pytest

from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.templates import create_template, delete_template, describe_templates, template_of
from support.bare_world import BareWorld


def test_a_taken_name_is_refused_and_keeps_its_content() -> None:
    cloud = BareWorld().cloud
    create_template(cloud, "first", {"ImageId": "ami-x86"}, {"a": "b"})

    with pytest.raises(Ec2Error) as error:
        create_template(cloud, "first", {"ImageId": "ami-arm"}, {})

    assert error.value.code == "InvalidLaunchTemplateName.AlreadyExistsException"
    assert template_of(cloud, "first").content == {"ImageId": "ami-x86"}


def test_what_a_caller_changes_later_is_not_in_the_template() -> None:
    cloud, content = BareWorld().cloud, {"ImageId": "ami-x86"}
    create_template(cloud, "first", content, {})
    content["ImageId"] = "ami-arm"

    assert template_of(cloud, "first").content == {"ImageId": "ami-x86"}


def test_templates_are_listed_by_name_and_by_prefix() -> None:
    cloud = BareWorld().cloud
    for name in ("form-1", "other", "form-0"):
        create_template(cloud, name, {}, {})

    assert [t.name for t in describe_templates(cloud, prefix="form-")] == ["form-0", "form-1"]
    assert [t.name for t in describe_templates(cloud, name="other")] == ["other"]
    assert describe_templates(cloud, name="none") == []


def test_a_deleted_name_is_free_again() -> None:
    cloud = BareWorld().cloud
    create_template(cloud, "first", {}, {})
    delete_template(cloud, "first")

    with pytest.raises(Ec2Error) as error:
        delete_template(cloud, "first")
    create_template(cloud, "first", {"ImageId": "ami-arm"}, {})

    assert error.value.code == "InvalidLaunchTemplateName.NotFoundException"


@pytest.mark.parametrize("name", ["ab", "x" * 129])
def test_a_name_has_three_to_128_characters(name: str) -> None:
    with pytest.raises(Ec2Error, match="3 to 128"):
        create_template(BareWorld().cloud, name, {}, {})
