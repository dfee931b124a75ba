"""Input that nobody should send: nearly right bodies, headers, queries and names. The one collection of all fuzzing."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from poolwright.arm import wire_maintenance, wire_snapshots
from poolwright.arm.wire_clusters import ClusterBody, ClusterProperties
from poolwright.arm.wire_node_pools import PoolProperties

# Names the properties of a request have or nearly have, and values they are or nearly are.
PROPERTIES = st.sampled_from(
    sorted(
        {*PoolProperties.model_fields, *ClusterProperties.model_fields, *ClusterBody.model_fields}
        | {
            *wire_maintenance._Properties.model_fields,
            *wire_maintenance._Window.model_fields,
            *wire_snapshots._Properties.model_fields,
        }
        | {"osSku", "VMSIZE", "poolwright", "eTag", "provisioningState", "name", "x9"}
    )
)
TEXTS = st.sampled_from(
    [
        "",
        "Linux",
        "Windows",
        "Windows2022",
        "Windows2025",
        "AzureLinux",
        "Ubuntu",
        "System",
        "User",
        "V1",
        "V2",
        "Standard_D2_v3",
        "Standard_DS2_v2",
        "Standard_D4ads_v6",
        "Standard_D4ps_v6",
        "Standard_DC4as_v5",
        "VirtualMachines",
        "VirtualMachineScaleSets",
        "Spot",
        "1.35",
        "1.35.7",
        "1.33",
        "1.99",
        "eastus",
        "mars",
        "sys",
        "np1",
        "KataVmIsolation",
        "Ephemeral",
        "\0",
        "\u202e",
        "{}",
        "{size}",
        "%s",
        "a" * 300,
        "'; --",
        "é",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 2, 3, -1, 1001, 2**31, 2**63, 2**64 - 1, 1e30, -0.0, 0.5])
    | TEXTS
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(PROPERTIES, inner, max_size=3)
        | st.fixed_dictionaries({"scale": st.fixed_dictionaries({"manual": st.lists(inner, max_size=2)})})
        | st.fixed_dictionaries({"code": inner})
        | st.fixed_dictionaries({"sourceResourceId": inner})
        | st.fixed_dictionaries({"schedule": inner, "durationHours": inner, "startTime": inner})
        | st.fixed_dictionaries({"weekly": st.fixed_dictionaries({"intervalWeeks": inner, "dayOfWeek": inner})})
        | st.fixed_dictionaries({"enableVTPM": inner, "enableSecureBoot": inner})
        | st.fixed_dictionaries({"name": inner, "mode": inner, "vmSize": inner})
    ),
    max_leaves=6,
)
BODIES: st.SearchStrategy[Any] = (
    st.fixed_dictionaries(
        {"properties": st.dictionaries(PROPERTIES, VALUES, max_size=6)},
        optional={"location": TEXTS, "tags": VALUES, "identity": VALUES, "sku": VALUES},
    )
    | st.dictionaries(PROPERTIES, VALUES, max_size=3)
    | VALUES
)
HOSTILE_NAMES = ["rg", "RG", "c1", "sys", "np1", "Win1", "new", ".", "..", "a b", "%", "é", "ß", "İ", "Σ", "x" * 300]
NAMES = st.sampled_from(HOSTILE_NAMES)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "UseWindowsGen2VM",
            "If-Match",
            "If-None-Match",
            "x-ms-client-request-id",
            "Accept-Encoding",
            "Host",
            "Content-Type",
        ]
    ),
    st.sampled_from(
        [b"true", b"false", b"*", b'"x"', b"", b"gzip", b'a"b', b"\xff\xfe", b"x" * 500, b"1,2", b"[::1]:9"]
    ),
    max_size=3,
)
QUERIES = st.sampled_from(
    [
        "api-version=2026-06-01",
        "api-version=2025-10-01&$filter=location eq 'eastus'",
        "api-version=2026-01-02-preview",
        "",
        "api-version=",
        "api-version=x",
        "api-version=2026-06-01&api-version=\0",
        "\udcff=\udcfe",
        "api-version=٢٠٢٦-06-01",
        "api-version=2026-06-01&$filter=\0",
        "api-version=2026-06-01&$filter=name eq 'c1' and (location ne 'mars' or tagName eq '')&$top=1",
        "&&&===",
    ]
)
