"""Jobs of GitLab are read with what they extend, inherit and refer to, as far as the file says."""

from __future__ import annotations

import pytest

from poolwright.lint.arm_templates import Given
from poolwright.lint.texts import Broken, Text
from poolwright.lint.yaml_files import read_yaml
from poolwright.templates.partial import Unknown

ADD = "az aks nodepool add -g rg --cluster-name c -n p -s $SIZE"
EVERY = "before_script: [SIZE=Every]\n"
UNKNOWN = Unknown("$SIZE")


def sizes(content: str) -> list[object]:
    """The sizes of the node pools in the YAML, all of which can be read."""
    reading, wrong = read_yaml(Text("f", content), Given())
    assert wrong == []
    for pool in reading.pools:
        written = content.splitlines()[pool.place.line - 1]
        assert written[pool.place.column - 1 :].startswith("az aks nodepool add")
    return [pool.properties["vmSize"] for pool in reading.pools]


@pytest.mark.parametrize(
    ("jobs", "size"),
    [
        (f".b: {{before_script: [SIZE=A]}}\nd: {{extends: .b, script: [{ADD}]}}\n", "A"),
        (f".b: {{script: [{ADD}]}}\nd: {{extends: .b, before_script: [SIZE=A]}}\n", "A"),
        (f".b: {{script: [{ADD}]}}\nd: {{extends: .b}}\n", "Every"),
        (f".a: {{before_script: [SIZE=A]}}\n.b: {{extends: .a}}\nd: {{extends: [.b], script: [{ADD}]}}\n", "A"),
        (
            ".a: {before_script: [SIZE=A]}\n.b: {before_script: [SIZE=B]}\n"
            f"d: {{extends: [.a, .b], script: [{ADD}]}}\n",
            "B",
        ),
        (f".b: {{before_script: [SIZE=B]}}\nd: {{extends: .b, before_script: [SIZE=A], script: [{ADD}]}}\n", "A"),
        (f".b: &b {{script: [{ADD}], before_script: [SIZE=B]}}\nd: {{<<: *b, before_script: [SIZE=A]}}\n", "A"),
        (f"d: {{inherit: {{default: true}}, script: [{ADD}]}}\n", "Every"),
        (f"d: {{inherit: {{default: [image, before_script]}}, script: [{ADD}]}}\n", "Every"),
        (f"d: {{inherit: {{variables: false}}, script: [{ADD}]}}\n", "Every"),
        # It does not say what is in force.
        (f"d: {{inherit: {{default: false}}, script: [{ADD}]}}\n", UNKNOWN),
        (f"d: {{inherit: {{default: [image]}}, script: [{ADD}]}}\n", UNKNOWN),
        (f".b: {{inherit: {{default: false}}}}\nd: {{extends: .b, script: [{ADD}]}}\n", UNKNOWN),
        (f"d: {{extends: .elsewhere, script: [{ADD}]}}\n", UNKNOWN),
        (f".b: {{before_script: [SIZE=B]}}\nd: {{extends: [.b, .elsewhere], script: [{ADD}]}}\n", UNKNOWN),
        (f".b: {{before_script: [SIZE=A]}}\nd: {{extends: [.elsewhere, .b], script: [{ADD}]}}\n", "A"),
        (f"d: {{extends: .elsewhere, before_script: [SIZE=A], script: [{ADD}]}}\n", "A"),
        (f"d: {{extends: [d, d], script: [{ADD}]}}\n", UNKNOWN),
        (f"d: {{before_script: null, script: [{ADD}]}}\n", UNKNOWN),
        (f"include: more.yml\nd: {{script: [{ADD}]}}\n", UNKNOWN),
        (f"include: more.yml\nd: {{before_script: [SIZE=A], script: [{ADD}]}}\n", "A"),
        (f".unused: {{script: [{ADD}]}}\n", UNKNOWN),
        (f".unused: {{before_script: [SIZE=A], script: [{ADD}]}}\n", "A"),
    ],
)
def test_the_before_script_in_force_is_known_where_the_file_says_it(jobs: str, size: object) -> None:
    assert sizes(EVERY + jobs) == [size]
    assert sizes(f"default: {{{EVERY.strip()}}}\n{jobs}") == [size]


@pytest.mark.parametrize(
    ("jobs", "size"),
    [
        ("d:\n  script:\n  - SIZE=B\n  - !reference [.b, script]\n", "A"),
        ("d:\n  before_script:\n  - !reference [.b, script]\n  script:\n", "A"),
        ("d:\n  before_script: !reference [.b, script]\n  script:\n", "A"),
        (".c:\n  script: [!reference [.b, script]]\nd:\n  script:\n  - !reference [.c, script]\n", "A"),
        (".c:\n  script: !reference [.b, script]\nd:\n  script:\n  - !reference [.c, script]\n", "A"),
        ("d:\n  script:\n  - SIZE=B\n  - !reference [.elsewhere, script]\n", UNKNOWN),
        ("d:\n  script:\n  - SIZE=B\n  - !reference [.b, after_script]\n", UNKNOWN),
        ("d:\n  script:\n  - SIZE=B\n  - !reference .b\n", UNKNOWN),
        ("d:\n  script:\n  - !reference [.elsewhere, script]\n  - SIZE=A\n", "A"),
        (".x: !reference [.x]\nd:\n  script:\n  - SIZE=B\n  - !reference [.x]\n", UNKNOWN),
    ],
)
def test_a_reference_is_the_text_it_refers_to_or_anything(jobs: str, size: object) -> None:
    assert sizes(f".b: {{script: [SIZE=A]}}\n{jobs}  - {ADD}\n") == [size]


def test_a_script_that_is_referred_to_is_read_in_the_job_that_does() -> None:
    assert sizes(f".b: {{script: [{ADD}]}}\nd: {{script: [SIZE=A, !reference [.b, script]]}}\n") == ["A"]
    assert sizes(f"b: {{script: [{ADD}]}}\nd: {{script: [SIZE=A, !reference [b, script]]}}\n") == [UNKNOWN, "A"]


def test_references_and_levels_without_end_are_told_or_unknown() -> None:
    with pytest.raises(Broken, match="endless"):
        sizes("d: {script: [!reference [d, script]]}\n")
    many = "".join(f".r{n}: {{script: [{', '.join([f'!reference [.r{n + 1}, script]'] * 30)}]}}\n" for n in range(20))
    with pytest.raises(Broken, match="more than 500000 values"):
        sizes(f"{many}.r20: {{script: [echo]}}\n")
    chain = "".join(f".e{n}: {{extends: [{', '.join([f'.e{n + 1}'] * 30)}]}}\n" for n in range(2_000))
    assert sizes(f"{EVERY}{chain}d: {{extends: .e0, script: [{ADD}]}}\n") == [UNKNOWN]


def test_the_rules_of_what_a_job_extends_are_its_conditions() -> None:
    jobs = f".b: {{rules: [{{if: $A}}], script: [{ADD}]}}\nd: {{extends: .b}}\n"
    assert [pool.condition for pool in read_yaml(Text("f", jobs), Given())[0].pools] == ["its rules"]


@pytest.mark.parametrize(
    ("jobs", "conditions"),
    [
        ("a: {extends: .b, rules: [{if: $A}]}\nb: {extends: .b}\n", ["its rules", None]),
        ("a: {extends: .b}\nb: {extends: .b, rules: [{if: $A}]}\n", [None]),
        ("a: {extends: .b, only: [x]}\nb: {extends: .b, only: [y]}\n", ["only: x", "only: y"]),
        ("a: {extends: .b, only: [x]}\nb: {extends: .b, only: [x]}\n", ["only: x"]),
        ("a: {extends: .b, only: !reference [.elsewhere, only]}\n", ["only: . '!reference [.elsewhere, only]'"]),
    ],
)
def test_a_script_of_several_jobs_is_told_with_the_conditions_of_each(jobs: str, conditions: list[str | None]) -> None:
    reading, _ = read_yaml(Text("f", f".b: {{script: [{ADD}]}}\n{jobs}"), Given())
    assert [pool.condition for pool in reading.pools] == conditions
