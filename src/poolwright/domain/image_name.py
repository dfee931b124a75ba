"""What the name of a node image tells, its `nodeImageVersion`: by what is known of it, else by the words in it.

Invariant: a name that is not known tells no more than the words in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from poolwright.domain.evidence import Evidence
from poolwright.domain.generation import Generation
from poolwright.domain.node_image import NodeImage

# Galleries whose Generation 2 images all say so. Azure Container Linux does not (rule 48).
_MARKED_GALLERIES: Final = re.compile(
    r"AKS(Ubuntu(EdgeZone)?|Windows|CBLMariner|AzureLinux(EdgeZone)?)-", re.IGNORECASE
)
# What follows the definition: a version, and perhaps the date of a security patch (domain section 3).
_VERSION: Final = re.compile(r"-\d+(?:\.\d+){2,}(?:-\d{4}\.\d{2}\.\d{2})?$")

# The OS release of a node image that the catalogue does not have, by how its name begins and what stands there.
# Source: the definitions of AgentBaker's sig_config.go (catalog/node-images.csv).
_RELEASES_BY_NAME: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), release)
    for pattern, release in (
        (r"AKSUbuntu(?:EdgeZone)?-(\d\d)(\d\d)", "{}.{}"),
        (r"AKSAzureLinux(?:EdgeZone)?-V(\d)", "Azure Linux {}.0"),
        (r"AKSCBLMariner-V(\d)", "CBL-Mariner {}.0"),
        (r"AKSWindows-(20\d\d)\b", "Windows Server {}"),
        (r"AKSWindows-(\d\dH\d)\b", "Windows Server Annual {}"),
    )
)


def image_stem(version_string: str) -> str:
    """Return what stands before the version of a `nodeImageVersion`, in small letters: gallery and definition."""
    return _VERSION.sub("", version_string).lower()


class ImageNames:
    """The names of known node images."""

    def __init__(self, images: Iterable[NodeImage]) -> None:
        self._images: dict[str, NodeImage] = {}
        for image in images:
            self._images.setdefault(image_stem(image.version_string), image)

    def evidence(self, version_string: str) -> Evidence:
        """Return what the name tells of the generation of a node pool that has the image."""
        image = self._images.get(image_stem(version_string))
        is_marked = "gen2" in version_string.lower()
        return Evidence(
            definition=image.generation if image is not None else None,
            mark=Generation.V2 if is_marked else None,
            no_mark=Generation.V1 if not is_marked and _MARKED_GALLERIES.match(version_string) else None,
        )

    def release(self, version_string: str) -> str | None:
        """Return the OS release of the image (`22.04`, `Windows Server 2022`); None where nothing tells it."""
        image = self._images.get(image_stem(version_string))
        if image is not None:
            return image.release
        matches = ((pattern.match(version_string), release) for pattern, release in _RELEASES_BY_NAME)
        return next((release.format(*match.groups()) for match, release in matches if match is not None), None)
