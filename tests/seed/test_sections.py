"""What may stand in a seed, and its schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from poolwright.seed.reading import WrongSeed, parse
from poolwright.seed.sections import SECTIONS, items_of, schema

GOOD: dict[str, Any] = {
    "quotas": [{"location": "eastus", "family": "cores", "limit": 40}],
    "resourceGroups": [
        {
            "name": "rg",
            "location": "eastus",
            "tags": {"team": "web"},
            "clusters": [
                {
                    "name": "c1",
                    "properties": {"kubernetesVersion": "1.34"},
                    "nodePools": [
                        {"name": "sys", "properties": {"mode": "System", "count": 1}},
                        {
                            "name": "win1",
                            "headers": {"UseWindowsGen2VM": True},
                            "properties": {"osType": "Windows", "vmSize": "Standard_D2s_v5", "somethingNew": [1]},
                        },
                    ],
                }
            ],
        }
    ],
}


def text_of(value: object) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False)


def found(value: object) -> list[tuple[str, str]]:
    with pytest.raises(WrongSeed) as wrong:
        items_of(parse("seed.yaml", text_of(value)))
    return [(problem.place, problem.what) for problem in wrong.value.problems]


def test_one_thing_comes_about_from_each_entry_in_order() -> None:
    items = items_of(parse("seed.yaml", text_of(GOOD)))
    assert [item.place for item in items] == [
        ("quotas", 0),
        ("resourceGroups", 0),
        ("resourceGroups", 0, "clusters", 0),
        ("resourceGroups", 0, "clusters", 0, "nodePools", 1),
    ]
    assert [item.parent for item in items] == [None, None, items[1].key, items[2].key]


def test_a_system_pool_is_part_of_its_cluster() -> None:
    *_, cluster, _ = items_of(parse("seed.yaml", text_of(GOOD)))
    assert [pool["name"] for pool in cluster.content["nodePools"]] == ["sys"]
    assert cluster.place_of("agentPoolProfiles[0].vmSize")[-4:] == ("nodePools", 0, "properties", "vmSize")
    assert cluster.place_of("agentPoolProfiles[0].name")[-3:] == ("nodePools", 0, "name")
    assert cluster.place_of("agentPoolProfiles")[-1:] == ("nodePools",)
    assert cluster.place_of("properties.kubernetesVersion")[-2:] == ("properties", "kubernetesVersion")


def test_every_problem_of_the_form_is_said() -> None:
    assert found(
        {
            "clusters": [],
            "quotas": [{"location": "eastus", "family": "cores", "limit": -1}],
            "resourceGroups": [
                {"name": "rg", "location": 3},
                {"name": "", "location": "eastus", "clusters": [{"name": "c1", "nodepools": []}]},
            ],
        }
    ) == [
        (
            "clusters",
            "there is no such member; there are catalogImports, restrictions, quotas, resourceGroups, faults",
        ),
        ("quotas[0].limit", "-1 stands there; expected is a number from 0 on"),
        ("resourceGroups[0].location", "3 stands there; expected is a text, in quotes"),
        ("resourceGroups[1].name", "nothing stands there; expected is a text of at least 1 character(s)"),
        ("resourceGroups[1].clusters[0].nodePools", "it is missing"),
        ("resourceGroups[1].clusters[0].nodepools", "there is no such member; did you mean nodePools?"),
    ]


def test_a_version_without_quotes_is_a_number_and_refused_where_a_text_belongs() -> None:
    assert found({"resourceGroups": [{"name": 1.30, "location": "eastus"}]}) == [
        ("resourceGroups[0].name", "1.3 stands there; expected is a text, in quotes")
    ]


@pytest.mark.parametrize(("value", "shown"), [([], "a list"), ("text", "'text'"), (3, "3")])
def test_a_seed_is_an_object(value: object, shown: str) -> None:
    ((place, what),) = found(value)
    assert (place, what) == ("", f"{shown} stands there; expected is a mapping")


def test_names_that_azure_takes_for_the_same_stand_once() -> None:
    pools = [{"name": "np1", "properties": {"mode": "System"}}, {"name": "np2"}, {"name": "NP2"}]
    cluster = {"name": "c1", "nodePools": pools}
    group = {"name": "rg", "location": "eastus", "clusters": [cluster]}
    assert found({"resourceGroups": [group, {"name": "RG", "location": "eastus"}]}) == [
        (
            "resourceGroups[0].clusters[0].nodePools[2]",
            "it stands there twice: resourceGroups[0].clusters[0].nodePools[1]",
        ),
        ("resourceGroups[1]", "it stands there twice: resourceGroups[0]"),
    ]


def test_the_schema_takes_what_the_service_takes() -> None:
    validator = Draft202012Validator(schema())
    Draft202012Validator.check_schema(schema())
    assert not list(validator.iter_errors(GOOD))
    assert not list(validator.iter_errors({}))
    for wrong in ({"clusters": []}, {"quotas": [{}]}, {"resourceGroups": [{"name": "rg"}]}):
        assert list(validator.iter_errors(wrong)), wrong
    pool = {"name": "np1", "properties": {"count": "three"}}
    group = {"name": "rg", "location": "eastus", "clusters": [{"name": "c1", "nodePools": [pool]}]}
    assert list(validator.iter_errors({"resourceGroups": [group]})), "properties are typed as far as Azure's are"


def test_every_section_is_in_the_schema_with_its_description() -> None:
    assert {name: part["description"] for name, part in schema()["properties"].items()} == {
        section.name: section.description for section in SECTIONS
    }


def test_the_examples_of_the_documents_are_seeds() -> None:
    document = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    (example, *_) = (part.partition("```")[0] for part in document.split("```yaml\n")[1:])
    assert items_of(parse("seed.yaml", example))
