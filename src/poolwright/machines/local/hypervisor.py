"""libvirt as the engine uses it: begin, press the button, end, and say what runs.

The only module that imports libvirt's binding, which is compiled and an extra of the package.

Invariant: every method may be called again; each ends the way it says also when half of it had happened before.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from poolwright.machines.engine import PermanentError, TemporaryError

if TYPE_CHECKING:
    import libvirt

T = TypeVar("T")
_NANOSECONDS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Domain:
    """A machine as libvirt has it. `cpu_seconds` is what it has used since it was started, 0 when it is off."""

    name: str
    uuid: str
    active: bool
    cpu_seconds: float


def binding() -> Any:
    """Return libvirt's binding. Raises `PermanentError` that says how to get it."""
    try:
        import libvirt
    except ImportError as error:
        raise PermanentError(
            "libvirt's Python binding is not installed", remedy="Run `make setup ENGINE=local`."
        ) from error
    # What goes wrong is raised; by itself libvirt prints it as well.
    libvirt.registerErrorHandler(lambda *_: None, None)
    return libvirt


class Hypervisor:
    """A connection to libvirt that is made again when it breaks. `ensure_daemon` starts what listens at `uri`."""

    def __init__(self, uri: str, ensure_daemon: Callable[[], None]) -> None:
        self.uri = uri
        self._ensure_daemon = ensure_daemon
        self._libvirt = binding()
        self._connection: libvirt.virConnect | None = None

    def domains(self, prefix: str) -> Mapping[str, Domain]:
        """Return the machines that libvirt knows whose names begin so, by UUID."""
        return self._with(lambda connection: self._domains(connection, prefix))

    def disk_of(self, uuid: str) -> Path | None:
        """Return where the first disk of a machine lies, None where libvirt does not know the machine or a disk."""

        def act(connection: libvirt.virConnect) -> Path | None:
            domain = self._find(connection, uuid)
            source = ET.fromstring(domain.XMLDesc()).find("devices/disk/source") if domain is not None else None
            return Path(source.get("file", "")) if source is not None else None

        return self._with(act)

    def owner_of_machines(self) -> tuple[int, int]:
        """Return the user and group IDs that a privileged libvirt runs machines as.

        Raises `PermanentError` where it does not say, as one that is not privileged does not, and `TemporaryError`
        where it does not answer.
        """
        capabilities = ET.fromstring(self._with(lambda connection: connection.getCapabilities()))
        for model in capabilities.iterfind("host/secmodel"):
            label = next((each.text for each in model.iterfind("baselabel") if each.get("type") == "qemu"), None)
            if model.findtext("model") == "dac" and label is not None:
                user, _, group = label.partition(":")
                return int(user), int(group)
        raise PermanentError(
            f"libvirt at {self.uri} does not say whom it runs machines as: it is no system libvirt with QEMU",
            remedy="Install libvirt-daemon-system, or leave POOLWRIGHT_LOCAL_URI away.",
        )

    def begin(self, xml: str, uuid: str) -> None:
        """The machine is defined so and runs. Raises `PermanentError` when libvirt or QEMU refuses it."""

        def act(connection: libvirt.virConnect) -> None:
            known = self._find(connection, uuid)
            domain = known if known is not None and known.isActive() else connection.defineXML(xml)
            if not domain.isActive():
                self._unless_now(domain, active=True, act=domain.create)

        self._with(act)

    def press_power_button(self, uuid: str) -> None:
        """The machine was asked by ACPI to power down, if it runs."""

        def act(connection: libvirt.virConnect) -> None:
            domain = self._find(connection, uuid)
            if domain is not None and domain.isActive():
                flags = self._libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
                self._unless_now(domain, active=False, act=lambda: domain.shutdownFlags(flags))

        self._with(act)

    def let_reset(self, uuid: str, *, allowed: bool) -> None:
        """A reset of the machine, if it runs, starts it again where that is allowed, and ends it otherwise."""
        lib = self._libvirt
        action = lib.VIR_DOMAIN_LIFECYCLE_ACTION_RESTART if allowed else lib.VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY

        def act(connection: libvirt.virConnect) -> None:
            domain = self._find(connection, uuid)
            if domain is not None and domain.isActive():
                reset, live = lib.VIR_DOMAIN_LIFECYCLE_REBOOT, lib.VIR_DOMAIN_AFFECT_LIVE
                self._unless_now(domain, active=False, act=lambda: domain.setLifecycleAction(reset, action, live))

        self._with(act)

    def end(self, uuid: str) -> None:
        """The machine does not run: its plug was pulled if it did."""

        def act(connection: libvirt.virConnect) -> None:
            domain = self._find(connection, uuid)
            if domain is not None and domain.isActive():
                self._unless_now(domain, active=False, act=domain.destroy)

        self._with(act)

    def undefine(self, uuid: str) -> None:
        """libvirt does not know the machine, which does not run; nor its NVRAM and TPM state."""

        def act(connection: libvirt.virConnect) -> None:
            domain = self._find(connection, uuid)
            if domain is not None:
                flags = self._libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | self._libvirt.VIR_DOMAIN_UNDEFINE_TPM
                domain.undefineFlags(flags)

        self._with(act)

    def domain_capabilities(self, emulator: str, kind: str) -> str:
        """Return the XML of what libvirt and that QEMU can do here for machines with UEFI of that domain type."""
        return self._with(lambda connection: str(connection.getDomainCapabilities(emulator, "x86_64", "q35", kind, 0)))

    def tools_answer(self, uuid: str) -> bool:
        """Whether QEMU's guest agent inside the machine answers, within a second."""
        import libvirt_qemu

        def act(connection: libvirt.virConnect) -> bool:
            domain = self._find(connection, uuid)
            if domain is None or not domain.isActive():
                return False
            try:
                libvirt_qemu.qemuAgentCommand(domain, '{"execute":"guest-ping"}', 1, 0)
            except self._libvirt.libvirtError:
                # A guest may answer anything, or end now: that is its own affair and no trouble of libvirt's.
                if connection.isAlive() == 1:
                    return False
                raise
            return True

        return self._with(act)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _domains(self, connection: libvirt.virConnect, prefix: str) -> Mapping[str, Domain]:
        found = {}
        for domain in connection.listAllDomains():
            name = domain.name()
            if not name.startswith(prefix):
                continue
            # One call for both: this is asked ten times a second while a machine boots.
            state, *_, nanoseconds = domain.info()
            active = state not in (self._libvirt.VIR_DOMAIN_SHUTOFF, self._libvirt.VIR_DOMAIN_CRASHED)
            seconds = nanoseconds / _NANOSECONDS if active else 0.0
            found[domain.UUIDString()] = Domain(name, domain.UUIDString(), active, seconds)
        return found

    def _unless_now(self, domain: libvirt.virDomain, *, active: bool, act: Callable[[], object]) -> None:
        """Carry it out; no matter that libvirt refuses because the machine ended, or began, a moment ago."""
        try:
            act()
        except self._libvirt.libvirtError as error:
            if error.get_error_code() != self._libvirt.VIR_ERR_OPERATION_INVALID or bool(domain.isActive()) != active:
                raise

    def _find(self, connection: libvirt.virConnect, uuid: str) -> libvirt.virDomain | None:
        try:
            return connection.lookupByUUIDString(uuid)
        except self._libvirt.libvirtError as error:
            if error.get_error_code() == self._libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def _with(self, act: Callable[[libvirt.virConnect], T]) -> T:
        """Carry it out, once more on a new connection when the daemon went away meanwhile."""
        for attempt in (1, 2):
            connection = self._connected()
            try:
                return act(connection)
            except self._libvirt.libvirtError as error:
                if connection.isAlive() == 1:
                    raise PermanentError(f"libvirt refused: {error.get_error_message()}") from error
                self._connection = None
                if attempt == 2:
                    raise TemporaryError("libvirt's daemon went away", retry_after_seconds=1) from error
        raise AssertionError

    def _connected(self) -> libvirt.virConnect:
        if self._connection is None:
            self._ensure_daemon()
            try:
                self._connection = self._libvirt.open(self.uri)
            except self._libvirt.libvirtError as error:
                raise TemporaryError(
                    f"no connection to libvirt at {self.uri}: {error.get_error_message()}", retry_after_seconds=2
                ) from error
        return self._connection
