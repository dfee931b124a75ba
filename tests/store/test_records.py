"""What is stored comes back as it was."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from poolwright.domain.activity import Event
from poolwright.domain.cluster import Cluster, ResourceGroup
from poolwright.domain.machine import Machine, MachineFacts, MachineSpec
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import Operation
from poolwright.domain.resource_id import ClusterId, GroupId, MachineId, NodePoolId
from poolwright.domain.roles import RoleAssignment
from poolwright.store.records import dump, load

# What a JSON body can hold once it was decoded: 64-bit integers, finite numbers, text without surrogates.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(min_value=-(2**63), max_value=2**64 - 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | integers | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
json_objects = st.dictionaries(text, json_values, max_size=5)
names = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=12)
counts = st.dictionaries(st.sampled_from(["V1", "V2", "unknown"]), st.integers(0, 1000))

group_ids = st.builds(GroupId, names, names)
cluster_ids = st.builds(ClusterId, group_ids, names)
pool_ids = st.builds(NodePoolId, cluster_ids, names)
machine_ids = st.builds(MachineId, pool_ids, names)

st.register_type_strategy(float, numbers)
st.register_type_strategy(str, text)

groups = st.builds(ResourceGroup, id=group_ids, sent=json_objects)
clusters = st.builds(Cluster, id=cluster_ids, sent=json_objects)
pools = st.builds(NodePool, id=pool_ids, sent=json_objects, observed=counts)
specs = st.builds(MachineSpec)
machines = st.builds(Machine, id=machine_ids, spec=specs, facts=st.none() | st.builds(MachineFacts))
operations = st.builds(Operation, generations=counts)
assignments = st.builds(RoleAssignment)
events = st.builds(Event)
everything: st.SearchStrategy[Any] = st.one_of(groups, clusters, pools, machines, operations, assignments, events)


@settings(deadline=None)
@given(everything)
def test_a_record_comes_back_as_it_was(value: Any) -> None:
    assert load(type(value), dump(value)) == value


@settings(deadline=None)
@given(everything)
def test_the_same_value_is_the_same_record(value: Any) -> None:
    assert dump(load(type(value), dump(value))) == dump(value)


def test_a_record_of_another_kind_is_refused() -> None:
    record = dump(ResourceGroup(id=GroupId("s", "g"), location="eastus", sent={}))
    with pytest.raises(ValidationError):
        load(Cluster, record)
    with pytest.raises(ValidationError):
        load(ResourceGroup, b"{}")
