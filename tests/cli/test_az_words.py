"""Words are read as az's parser, which is argparse, reads them."""

from __future__ import annotations

import pytest

from poolwright.cli.az_words import NotAsAzReads, Option, as_az_reads, meant_by

OPTIONS = (
    Option(names=("--labels",), least=0, most=None),
    Option(names=("--zones", "-z"), least=1, most=None),
    Option(names=("-s", "--size"), least=1, most=1),
    Option(names=("--flag", "-f"), least=0, most=0),
)


@pytest.mark.parametrize(
    ("given", "written_out"),
    [
        ("--labels a=b c=d -s A", "--labels=a=b --labels=c=d --size=A"),
        ("--labels a=b --labels c=d e=f", "--labels=c=d --labels=e=f"),
        ("--labels a=b --labels", "--labels="),
        ("--labels a=b --labels=c=d", "--labels=c=d"),
        ("--labels", "--labels="),
        ("-z 1 2 3 -f", "--zones=1 --zones=2 --zones=3 --flag"),
        ("-z1 --zones 2", "--zones=2"),
        ("-z=1", "--zones=1"),
        ("-s A -s B", "--size=B"),
        ("-s=A=B", "--size=A=B"),
        ("-s -1", "--size=-1"),
        ("--size=-x", "--size=-x"),
        ("-f -f", "--flag"),
    ],
)
def test_every_option_says_one_thing_and_that_is_the_last(given: str, written_out: str) -> None:
    understood = as_az_reads(OPTIONS, given.split())

    assert (understood.words, understood.unknown) == (tuple(written_out.split()), ())


@pytest.mark.parametrize(
    ("given", "unknown"),
    [
        ("--labels=a=b c=d", "c=d"),
        ("--lab a=b -s A", "--lab a=b"),
        ("-s A -- --labels a", "-- --labels a"),
        ("-x", "-x"),
    ],
)
def test_what_no_option_takes_is_left_over(given: str, unknown: str) -> None:
    assert as_az_reads(OPTIONS, given.split()).unknown == tuple(unknown.split())


@pytest.mark.parametrize(
    ("given", "option", "why"),
    [
        ("-s --labels a=b", "--size", "needs a value; one that begins with '-' is written --size=-..."),
        ("-s", "--size", "needs a value"),
        ("--zones -f", "--zones", "needs a value"),
        ("-z 1 -z", "--zones", "needs a value"),
        ("--flag=true", "--flag", "takes no value"),
    ],
)
def test_an_option_never_takes_another_one_for_its_value(given: str, option: str, why: str) -> None:
    with pytest.raises(NotAsAzReads) as refused:
        as_az_reads(OPTIONS, given.split())

    assert refused.value.option == option
    assert refused.value.text.startswith(why)


def test_a_beginning_of_options_names_them() -> None:
    assert [meant_by(OPTIONS, word) for word in ("--la", "--l=a", "--x", "--", "-s")] == [
        ["--labels"],
        ["--labels"],
        [],
        [],
        [],
    ]
