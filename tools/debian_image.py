"""Makes a disk with a real Debian 12: systemd, cloud-init, OpenSSH, QEMU's guest agent; it boots by UEFI.

It is for trying what takes too long for a test: import it (`poolwright images import --definition 2204gen2containerd
FILE`), create a cluster with a public key and a node pool of Ubuntu2204 and Generation 2 on it. Emulated, such a
machine is ready after about 65 s of CPU time and done with cloud-init after twice that. Needs root, and the Debian
packages mmdebstrap and e2fsprogs beside those of `poolwright images build`.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from poolwright.machines.images import disk, packages
from poolwright.machines.images.disk import MIB, SECTOR_BYTES

SUITE: Final = "bookworm"
SYSTEM: Final = (
    *("linux-image-cloud-amd64", "initramfs-tools", "zstd", "systemd-sysv", "udev", "dbus", "e2fsprogs", "fdisk"),
    *("cloud-init", "cloud-guest-utils", "locales", "openssh-server", "sudo", "qemu-guest-agent"),
    *("iproute2", "ifupdown", "isc-dhcp-client"),
)
LOADERS: Final = ("shim-signed", "shim-unsigned", "grub-efi-amd64-signed")
ESP_MIB: Final = 100
ROOT_MIB: Final = 1400
_ESP_AT: Final = 2048
_ROOT_AT: Final = _ESP_AT + ESP_MIB * MIB // SECTOR_BYTES
_TABLE: Final = f"""\
label: gpt
start={_ESP_AT}, size={_ROOT_AT - _ESP_AT}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
start={_ROOT_AT}, size={ROOT_MIB * MIB // SECTOR_BYTES}, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=root
"""
_GRUB: Final = """\
set timeout=0
linux /boot/vmlinuz root=LABEL=root ro console=ttyS0,115200
initrd /boot/initrd
boot
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("file", type=Path, metavar="FILE", help="the qcow2 to make")
    target = parser.parse_args().file
    with tempfile.TemporaryDirectory(dir=target.absolute().parent) as work:
        disk.to_qcow2(_raw(Path(work)), target)


def _raw(work: Path) -> Path:
    root, raw, esp, loaders = work / "root", work / "disk.raw", work / "esp", work / "loaders"
    subprocess.run(["mmdebstrap", "--variant=minbase", f"--include={','.join(SYSTEM)}", SUITE, str(root)], check=True)
    (root / "etc/fstab").write_text("LABEL=root / ext4 defaults 0 1\n")
    # What every machine has for itself is made when it first boots.
    (root / "etc/machine-id").write_text("")
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    cache = packages.default_cache()
    packages.unpack(packages.fetch(packages.current(LOADERS, cache), cache, lambda lacking: None), loaders)
    (work / "grub.cfg").write_text(_GRUB)
    disk.fat(
        esp,
        ESP_MIB * MIB,
        "ESP",
        {
            "boot/vmlinuz": next(root.glob("boot/vmlinuz-*")),
            "boot/initrd": next(root.glob("boot/initrd.img-*")),
            "EFI/debian/grub.cfg": work / "grub.cfg",
            "EFI/BOOT/BOOTX64.EFI": loaders / "usr/lib/shim/shimx64.efi.signed",
            "EFI/BOOT/grubx64.efi": loaders / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
            "EFI/BOOT/mmx64.efi": loaders / "usr/lib/shim/mmx64.efi",
        },
    )
    disk.blank(raw, (ESP_MIB + ROOT_MIB + 2) * MIB)
    disk.partition(raw, _TABLE)
    disk.paste(raw, esp, _ESP_AT)
    place = f"offset={_ROOT_AT * SECTOR_BYTES}"
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), "-E", place, str(raw), f"{ROOT_MIB}M"], check=True
    )
    return raw


if __name__ == "__main__":
    main()
