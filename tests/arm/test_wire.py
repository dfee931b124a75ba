"""Resource groups come back as they were sent."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given, settings

from poolwright.arm.sent import parse_body
from poolwright.arm.wire import decode_group, encode_group
from poolwright.domain.cluster import ResourceGroup
from poolwright.store.records import dump, load
from tests.arm.bodies import GROUP, unknown_properties, without_nulls


@settings(max_examples=60, deadline=None)
@given(unknown_properties())
def test_unknown_properties_of_a_resource_group_come_back_as_they_were_sent(unknown: dict[str, Any]) -> None:
    location, sent = decode_group(parse_body(orjson.dumps({"location": "eastus", "tags": {"a": "b"}, **unknown})))
    group = load(ResourceGroup, dump(ResourceGroup(id=GROUP, location=location, sent=sent)))
    back = json.loads(encode_group(group))
    assert {name: back[name] for name in without_nulls(unknown)} == without_nulls(unknown)
    assert back["tags"] == {"a": "b"}
