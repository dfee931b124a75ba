"""Whose truth decides about what goes to Azure, or is there already: one setting of `lint` and `fleet`.

A service follows its own setting, which is `documented` unless told otherwise.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from poolwright.cli.explain import ProfileName
from poolwright.cli.options import in_any_case
from poolwright.cli.output import note

FOR_AZURE: Final = ProfileName.AZURE_2026
ProfileForAzure = Annotated[
    ProfileName,
    typer.Option(
        "--profile",
        envvar="POOLWRIGHT_PROFILE",
        help="Whose truth decides: azure-2026 is what Azure was seen to do, which moves no node pool in place; "
        "documented is what AKS's pages say, and what Poolwright does.",
        **in_any_case(ProfileName),
    ),
]
_MEANINGS: Final = {
    ProfileName.AZURE_2026: "what Azure was seen to do",
    ProfileName.DOCUMENTED: "what AKS's pages say",
}


def note_profile(profile: ProfileName) -> None:
    """Tell a person whose truth decided, and how the other one is chosen."""
    (other,) = (each for each in ProfileName if each is not profile)
    note(f"by profile {profile}: {_MEANINGS[profile]}; --profile {other} decides by {_MEANINGS[other]}")
