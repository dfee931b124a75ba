"""Whether this host can give machines memory for SGX enclaves (EPC), and what it lacks otherwise.

It takes all of them: KVM, the CPU, the kernel's device, and a QEMU and libvirt that know it. libvirt says the last in
its domain capabilities: https://libvirt.org/formatdomaincaps.html#sgx-capabilities

Invariant: pure but for `look_at_host`; what is missing is said all at once, each with the version that has it.
"""

from __future__ import annotations

import os
import stat
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poolwright.machines.local.daemon import Account
from poolwright.machines.local.domain_xml import Accelerator

DEVICE: Final = Path("/dev/sgx_vepc")
_KIB_PER_MIB: Final = 1024


@dataclass(frozen=True, slots=True)
class HostSgx:
    """What a host shows of SGX by itself. `account` is who runs machines, `is_accessible` for whom the device is."""

    is_kvm: bool
    has_cpu: bool
    has_device: bool
    is_accessible: bool
    account: str


@dataclass(frozen=True, slots=True)
class EmulatorSgx:
    """What libvirt says of QEMU here. `is_known` is False where it says nothing; `epc_mib` is all that the host has."""

    is_known: bool
    is_supported: bool
    epc_mib: int


def look_at_host(accelerator: Accelerator, account: Account, device: Path = DEVICE) -> HostSgx:
    """Return what this host shows now."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return HostSgx(
        is_kvm=accelerator is Accelerator.KVM,
        has_cpu="sgx" in flags,
        has_device=device.exists(),
        is_accessible=device.exists() and _may_open(account, device),
        account=account.name or "of the service",
    )


def read(domain_capabilities: str) -> EmulatorSgx:
    """Return what libvirt's domain capabilities say."""
    found = ET.fromstring(domain_capabilities).find("features/sgx")
    if found is None:
        return EmulatorSgx(is_known=False, is_supported=False, epc_mib=0)
    size = found.findtext("section_size", "0")
    return EmulatorSgx(
        is_known=True, is_supported=found.get("supported") == "yes", epc_mib=int(size or 0) // _KIB_PER_MIB
    )


def lacking_of_host(host: HostSgx) -> list[str]:
    """Return in words what the host itself lacks."""
    rows = (
        (host.is_kvm, "KVM (machines are emulated here)"),
        (host.has_cpu, "a CPU that shows SGX (`sgx` in /proc/cpuinfo; firmware may have switched it off)"),
        (host.has_device, f"the kernel's EPC for machines ({DEVICE}, from Linux 5.13 on)"),
        (not host.has_device or host.is_accessible, f"access of the account {host.account} to {DEVICE}"),
    )
    return [words for holds, words in rows if not holds]


def lacking_of_emulator(emulator: EmulatorSgx) -> list[str]:
    """Return in words what libvirt and QEMU lack, on a host that lacks nothing itself."""
    if not emulator.is_known:
        return ["a libvirt that knows SGX (from 8.10 on)"]
    return [] if emulator.is_supported else ["a QEMU that has EPC for machines (from 6.2 on)"]


def _may_open(account: Account, device: Path) -> bool:
    if account.name is None:
        return os.access(device, os.R_OK | os.W_OK)
    found = device.stat()
    groups = os.getgrouplist(account.name, account.gid)
    for is_mine, bits in (
        (found.st_uid == account.uid, stat.S_IRUSR | stat.S_IWUSR),
        (found.st_gid in groups, stat.S_IRGRP | stat.S_IWGRP),
    ):
        if is_mine:
            return found.st_mode & bits == bits
    bits = stat.S_IROTH | stat.S_IWOTH
    return found.st_mode & bits == bits
