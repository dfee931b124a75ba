"""One request made from a described operation: what schemathesis makes of the description, with real names most of the
time, and now and then what nobody should send."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

from tests.fuzzing.hostile import BODIES, HOSTILE_NAMES
from tests.fuzzing.world import World
from tests.support.service import API_VERSION

# How many names in paths are real, and how many real or new; the others are drawn, or hostile.
_REAL: Final = 0.9
_REAL_OR_NEW: Final = 0.95
_WITH_SUBSCRIPTION: Final = 0.98
_WITH_TOKEN: Final = 0.95
_WITH_API_VERSION: Final = 0.9
# The activity log answers without the start of a time range with a refusal.
_WITH_FILTER: Final = 0.5
_TIMES: Final = 3
_NEW: Final = {"pool": "fresh1", "cluster": "fresh", "group": "fresh", "snapshot": "fresh", "name": "fresh"}
# Nothing, or the way up: with these it is the path of another operation.
_NO_NAMES: Final = ("", ".", "..")
_SIZES: Final = ("Standard_D2s_v5", "Standard_D2_v3", "Standard_D4ads_v6", "Standard_D4ps_v6")
_POOLS: Final = st.fixed_dictionaries(
    {"vmSize": st.sampled_from(_SIZES), "count": st.integers(0, 4)},
    optional={
        "osType": st.sampled_from(["Linux", "Windows"]),
        "mode": st.sampled_from(["System", "User"]),
        "vmGeneration": st.sampled_from(["V1", "V2", None]),
        "nodeLabels": st.just({"team": "a"}),
    },
)
# Bodies that are likely to be taken, by operation. What is made from the schema alone seldom names a real size.
_LIKELY: Final[dict[str, st.SearchStrategy[Any]]] = {
    "AgentPools_CreateOrUpdate": st.fixed_dictionaries({"properties": _POOLS}),
    "AgentPools_WhatIf": st.fixed_dictionaries({"properties": _POOLS}),
    "AgentPools_Update": st.fixed_dictionaries({"properties": st.fixed_dictionaries({"count": st.integers(0, 5)})}),
    "ManagedClusters_CreateOrUpdate": st.fixed_dictionaries(
        {
            "location": st.sampled_from(["eastus", "westus2"]),
            "properties": st.fixed_dictionaries(
                {"agentPoolProfiles": st.just([{"name": "sys", "mode": "System", "count": 1}])}
            ),
        }
    ),
    "ResourceGroups_CreateOrUpdate": st.just({"location": "eastus", "tags": {"a": "b"}}),
    "Usage_SetLimit": st.fixed_dictionaries({"limit": st.integers(100, 1000)}),
}


class Requests:
    """The strategies of one operation."""

    def __init__(self, operation: APIOperation) -> None:
        self.operation = operation
        self.name = str(operation.definition.raw["operationId"])
        self.described = frozenset(operation.definition.raw["responses"])
        self._fitting = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        self._misfitting = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        self._takes_body = "requestBody" in operation.definition.raw
        differs = self._takes_body or "{" in operation.path.replace("{subscription}", "")
        self._times = _TIMES if differs else 1

    def cases(
        self, data: st.DataObject, world: World, paths: Sequence[Mapping[str, str]]
    ) -> Iterator[tuple[Case, bool]]:
        """Draw a request, and yield it as it is sent, again and again with other names or another body.

        With each goes whether it is sent with a token. `paths` are real names that belong together. Drawing is what
        takes the time, so one draw is used for several requests where names or a body can differ.
        """
        fits = data.draw(st.integers(0, 9), label="of ten, 3 do not fit the description") >= 3
        case: Case = data.draw(self._fitting if fits else self._misfitting, label="request")
        hostile = data.draw(BODIES, label="hostile body") if self._takes_body else None
        likely = data.draw(_LIKELY.get(self.name, st.none()), label="likely body")
        chance = random.Random(data.draw(st.integers(0, 2**32), label="chance"))
        drawn_names, drawn_body = dict(case.path_parameters or {}), case.body
        for turn in range(self._times):
            names = {**chance.choice(paths), **world.names_for(self.name)}
            self._name(case, chance, drawn_names, world.subscription, names)
            with_token = chance.random() < _WITH_TOKEN
            if "api-version" in (case.query or {}) and chance.random() < _WITH_API_VERSION:
                case.query["api-version"] = API_VERSION
            if self.name == "ActivityLogs_List" and chance.random() < _WITH_FILTER:
                case.query["$filter"] = "eventTimestamp ge '2026-01-01T00:00:00Z'"
            if self._takes_body:
                usual = likely if likely is not None else world.body_for(self.name, names)
                case.body = (drawn_body, usual if usual is not None else drawn_body, hostile)[turn % 3]
            yield case, with_token

    def _name(
        self, case: Case, chance: random.Random, drawn: Mapping[str, Any], subscription: str, real: Mapping[str, str]
    ) -> None:
        for name, value in drawn.items():
            odds = chance.random()
            if name == "subscription":
                chosen = subscription if odds < _WITH_SUBSCRIPTION else value
            elif odds < _REAL and name in real:
                chosen = real[name]
            elif odds < _REAL_OR_NEW:
                chosen = _NEW.get(name, "fresh")
            else:
                chosen = chance.choice((value, chance.choice(HOSTILE_NAMES)))
            case.path_parameters[name] = _NEW.get(name, "fresh") if chosen in _NO_NAMES else chosen
