"""What the name of a node image tells."""

from __future__ import annotations

import pytest

from poolwright.domain.image_name import image_stem


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("AKSUbuntu-2204gen2containerd-202410.27.0", "aksubuntu-2204gen2containerd"),
        ("AKSUbuntu-2204gen2containerd-202410.27.0-2024.12.01", "aksubuntu-2204gen2containerd"),
        ("AKSUbuntu-1804-2020.03.05", "aksubuntu-1804"),
        ("AKSWindows-2022-containerd-gen2-20348.4529.251212", "akswindows-2022-containerd-gen2"),
        ("AKSAzureContainerLinux-202606.01.0", "aksazurecontainerlinux"),
    ],
)
def test_the_version_is_taken_off_an_image(text: str, stem: str) -> None:
    assert image_stem(text) == stem
