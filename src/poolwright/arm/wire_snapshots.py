"""The JSON of node pool snapshots.

Invariant: everything a snapshot keeps of its node pool is read-only; a client sends the node pool, location and tags.

Source of the shapes: Snapshots_* of azure-mgmt-containerservice 41.8.0 (api-version 2026-08-01).
"""

from __future__ import annotations

from typing import Annotated

import orjson

from poolwright.arm.sent import Json, Sent, Text, checked, kept, spelled
from poolwright.arm.wire import image_block, timestamp
from poolwright.domain.resource_id import SNAPSHOT_TYPE
from poolwright.domain.snapshot import Snapshot
from poolwright.domain.tags import require_tags


class _CreationData(Sent):
    sourceResourceId: Text = None


class _Properties(Sent):
    creationData: _CreationData | None = None
    snapshotType: Annotated[str | None, spelled("NodePool")] = None


class SnapshotBody(Sent):
    location: Text = None
    tags: dict[str, str | None] | None = None
    properties: _Properties | None = None


def decode_snapshot(body: Json) -> tuple[str | None, str | None, Json]:
    """Return location, node pool and kept content of a snapshot's PUT."""
    model = checked(SnapshotBody, body, "")
    require_tags(model.tags)
    properties = model.properties or _Properties()
    source = properties.creationData.sourceResourceId if properties.creationData else None
    return model.location, source, kept(model, "location", "properties")


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return a snapshot as AKS shows it."""
    taken = snapshot.configuration
    return orjson.dumps(
        {
            **snapshot.sent,
            "id": str(snapshot.id),
            "name": snapshot.id.snapshot,
            "type": SNAPSHOT_TYPE,
            "location": snapshot.location,
            "systemData": {"createdAt": timestamp(snapshot.created)},
            "properties": {
                "creationData": {"sourceResourceId": snapshot.source},
                "snapshotType": "NodePool",
                "kubernetesVersion": taken.version,
                "nodeImageVersion": taken.node_image,
                "osType": taken.os_type.value,
                "osSku": taken.os_sku.value,
                "vmSize": taken.vm_size,
                "enableFIPS": taken.fips,
                "poolwright": {
                    "generation": taken.generation.value,
                    "image": image_block(taken.image_definition),
                    "vtpm": taken.vtpm,
                    "secureBoot": taken.secure_boot,
                    "vpmemMiB": taken.vpmem_mib,
                },
            },
        }
    )
