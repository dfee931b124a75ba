"""What something is made from is found wherever a body names it, in every spelling that is taken for an ID later."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.arm.linked import sources_of
from poolwright.domain.resource_id import NODE_POOL_TYPE, SNAPSHOT_TYPE, NodePoolId, SnapshotId

SNAPSHOT = f"/subscriptions/s/resourceGroups/rg/providers/{SNAPSHOT_TYPE}/kept"
POOL = "/subscriptions/s/resourceGroups/rg/providers/" + NODE_POOL_TYPE.replace("/agent", "/kc/agent") + "/np1"
# Letters that another one is the lower or upper case of, outside ASCII: long s, Kelvin, dotted and dotless i.
ALIKE = {"s": "sS\u017f", "k": "kK\u212a", "i": "iI\u0130\u0131"}


def found(source: str) -> list[str]:
    return [str(each) for each in sources_of({"properties": {"creationData": {"sourceResourceId": source}}})]


@pytest.mark.parametrize(
    "body",
    [
        {"creationData": {"sourceResourceId": SNAPSHOT}},
        {"properties": {"CREATIONDATA": {"sourceresourceid": SNAPSHOT}}},
        {"properties": {"agentPoolProfiles": [{"name": "a"}, {"creationData": {"sourceResourceId": SNAPSHOT}}]}},
        {"a": [[{"b": [{"creationData": {"sourceResourceId": SNAPSHOT}}]}]]},
    ],
)
def test_a_source_is_found_at_any_depth(body: dict[str, Any]) -> None:
    assert [str(each) for each in sources_of(body)] == [SNAPSHOT]


@given(st.data())
def test_whatever_is_read_as_an_id_was_found(data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from([SNAPSHOT, POOL]))
    text = "".join(data.draw(st.sampled_from(ALIKE.get(letter.lower(), letter))) for letter in wanted)
    text += data.draw(st.sampled_from(["", "/", "//", "\n"]))
    read = SnapshotId.parse(text) or NodePoolId.parse(text)
    assert [each.lower() for each in found(text)] == ([read.key] if read is not None else [])


def test_what_looks_like_an_id_to_unicode_alone_is_neither_found_nor_read() -> None:
    forged = SNAPSHOT.replace("/subscriptions", "/\u017fubscriptions")
    assert (found(forged), SnapshotId.parse(forged)) == ([], None)
    # Names are not ASCII's, and are compared as everything looks them up.
    named = SNAPSHOT.replace("kept", "\u212aept")
    assert [each.lower() for each in found(named)] == [SNAPSHOT.lower()]
