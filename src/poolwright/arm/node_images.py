"""Node image versions as AKS lists them, in both directions.

Invariant: only the latest version of each definition is listed.
Source: LocationRoutes.tsp in Azure/azure-rest-api-specs; the values of a real list are in
Azure/karpenter-provider-azure pkg/fake/nodeimageversionsapi.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from poolwright.arm.shape import text_in
from poolwright.domain.node_image import NodeImage


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An entry of the list."""

    gallery: str
    definition: str
    version: str
    full_name: str

    @property
    def age(self) -> tuple[int, ...]:
        """What orders versions of one definition, newest last: `2022.10.03` is before `202505.27.0`."""
        first, *rest = [int(number) for number in re.findall(r"\d{1,12}", self.version)] or [0]
        # A year alone, as versions were written until 2023, next to year and month in one.
        return (first * 100 + rest.pop(0) if 2000 <= first < 2100 and rest else first, *rest)


def render_node_images(images: Iterable[NodeImage]) -> bytes:
    """Return the body of ContainerService_ListNodeImageVersions, each definition once."""
    shown = {(image.gallery, image.definition): _entry(image) for image in images}
    return orjson.dumps({"value": list(shown.values())})


def decode_node_image(entry: Mapping[str, Any]) -> ListedImage:
    """Return an entry of the list. Raises `Misshapen`."""
    return ListedImage(
        text_in(entry, "os"), text_in(entry, "sku"), text_in(entry, "version"), text_in(entry, "fullName")
    )


def _entry(image: NodeImage) -> dict[str, str]:
    # Windows drops the definition's own prefix: AKSWindows-2022-containerd-20348.4529.251212.
    stem = f"{image.gallery}-{image.definition.removeprefix('windows-')}-"
    full_name = image.version_string
    # Azure Container Linux has a name of its own before the version: AKSAzureContainerLinux-202606.01.0.
    version = full_name.removeprefix(stem) if full_name.startswith(stem) else full_name.rpartition("-")[2]
    return {"fullName": full_name, "os": image.gallery, "sku": image.definition, "version": version}
