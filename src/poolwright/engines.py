"""The machine engine of a service: which one its settings mean, made and started.

Invariant: the default runs nothing on the host; real machines are asked for, by name or by `auto`, which says what it
chose and why.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import structlog

from poolwright.catalog.in_force import CatalogInForce
from poolwright.domain.generation import Generation
from poolwright.domain.machine import MachineSpec
from poolwright.domain.node_image import NodeImage
from poolwright.identity.private_files import write_atomically
from poolwright.installation import DataDirectory, EngineUnavailable
from poolwright.machines import host_packages
from poolwright.machines.engine import MachineEngine, PermanentError
from poolwright.machines.host_packages import MissingPackages, Use
from poolwright.machines.images.build import Form, build
from poolwright.machines.images.initial_ramdisk import ModuleMissing
from poolwright.machines.images.packages import PackagesNotAvailable, default_cache
from poolwright.machines.images.programs import ProgramFailed
from poolwright.machines.images.store import DiskImage, ImageStore, is_windows
from poolwright.machines.local import abandoned, bridge, cloud_init, host, sgx
from poolwright.machines.local.allocation import Caps
from poolwright.machines.local.cloud_init import UserData, UserDataRefused
from poolwright.machines.local.daemon import libvirt_of
from poolwright.machines.local.domain_xml import Accelerator
from poolwright.machines.local.engine import Host, LocalEngine
from poolwright.machines.local.evidence import EvidenceKey
from poolwright.machines.simulated import Behaviour, SimulatedEngine
from poolwright.settings import Settings

log = structlog.get_logger(__name__)

SIMULATED: Final = "simulated"
LOCAL: Final = "local"


def chosen(settings: Settings) -> tuple[str, str]:
    """Return the name of the engine that the settings mean, and why in words."""
    if settings.engine != "auto":
        return settings.engine, "it was asked for"
    lacking = what_lacks()
    if lacking:
        return SIMULATED, f"real machines are not possible here: {lacking}"
    return LOCAL, "QEMU, libvirt and its binding are installed here"


def what_lacks() -> str:
    """Return in words what this host lacks for real machines, "" where nothing does."""
    names = [package.name for package in host_packages.missing(Use.RUN)]
    if names:
        return f"the Debian package(s) {', '.join(names)}"
    return "" if find_spec("libvirt") is not None else "the Python package libvirt-python"


def engine_of(settings: Settings, directory: DataDirectory, catalogs: CatalogInForce) -> MachineEngine:
    """Return the engine, at work. Raises `EngineUnavailable`."""
    name, why = chosen(settings)
    if settings.engine == "auto":
        log.info("engine_chosen", engine=name, why=why)
    if name == SIMULATED:
        behaviour = Behaviour(boot_seconds=settings.simulated_boot_seconds)
        return SimulatedEngine(directory.simulated_machines, time.time, behaviour)
    try:
        return _local(settings, directory, catalogs)
    except PermanentError as error:
        raise EngineUnavailable(f"the engine '{name}' cannot be used: {error}. {error.remedy or ''}".strip()) from error


def _local(settings: Settings, directory: DataDirectory, catalogs: CatalogInForce) -> LocalEngine:
    lacking = what_lacks()
    if lacking:
        raise PermanentError(f"this host lacks {lacking}", remedy="Run `make setup ENGINE=local`.")
    user_data = _user_data(settings.local_user_data)
    place, sockets = host.directories(directory.path)
    libvirt = libvirt_of(settings.local_uri, place, sockets)
    if settings.local_bridge is not None:
        bridge.require(settings.local_bridge, libvirt)
    host.make_directories(place, sockets, libvirt.account)
    abandoned.mark(place, directory.path, settings.local_uri)
    accelerator = _accelerator(settings)
    engine = LocalEngine(
        directory.machines / "local.sqlite",
        Host(
            directory=place,
            sockets=sockets,
            logs=libvirt.logs,
            account=libvirt.account,
            accelerator=accelerator,
            caps=Caps(settings.local_memory_mib, settings.local_cpus),
            parallel_boots=settings.local_parallel_boots or os.cpu_count() or 1,
            when_lost=settings.local_when_lost,
            room=host.room,
            boot=host.boot(),
            sgx=partial(sgx.look_at_host, accelerator, libvirt.account),
            bridge=settings.local_bridge,
            user_data=user_data,
        ),
        libvirt.hypervisor(),
        images_of(
            ImageStore(directory.images),
            ImageStore(settings.local_stand_ins.expanduser()),
            catalogs,
            windows_stand_in=settings.windows_stand_in,
        ),
        evidence_key(directory.evidence_key),
        now=time.time,
        new_id=lambda: str(uuid.uuid4()),
    )
    engine.start()
    return engine


def _user_data(path: Path | None) -> UserData | None:
    """The operator's user data for machines; read once, so that all machines of a service get the same."""
    if path is None:
        return None
    try:
        return cloud_init.user_data(path.expanduser().read_bytes())
    except (OSError, UserDataRefused) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise PermanentError(
            f"POOLWRIGHT_LOCAL_USER_DATA, {path}, cannot be user data of machines: {why}",
            remedy="Give it a file for cloud-init, or leave it out.",
        ) from error


def _accelerator(settings: Settings) -> Accelerator:
    if settings.local_accelerator != "auto":
        return Accelerator[settings.local_accelerator.upper()]
    accelerator, why = host.probe()
    log.info("accelerator_chosen", accelerator=accelerator.name, why=why)
    return accelerator


def images_of(
    own: ImageStore, shared: ImageStore, catalogs: CatalogInForce, *, windows_stand_in: bool
) -> Callable[[MachineSpec], DiskImage]:
    """Return what finds the disk image of a machine: the service's own for its node image, else a stand-in.

    Poolwright's own image, which stands in for every Linux definition, is built when it is first needed, once for all
    services that share a store.
    """

    def stand_in(generation: Generation) -> DiskImage:
        return own.stand_in(generation) or shared.stand_in(generation) or _built(shared, generation)

    def image_of(spec: MachineSpec) -> DiskImage:
        definition = definition_in(spec.node_image, catalogs.present.images)
        found = own.find(definition, spec.generation)
        if found is not None:
            return found
        if not is_windows(definition) or windows_stand_in:
            return stand_in(spec.generation)
        raise PermanentError(
            f"There is no disk image for the node image definition '{definition}'.",
            code="ImageNotFound",
            remedy=f"Import one with `poolwright images import --definition {definition} FILE`, or have Poolwright's "
            "own Linux image stand in for it: POOLWRIGHT_WINDOWS_STAND_IN=true.",
        )

    return image_of


def definition_in(version_string: str, images: Sequence[NodeImage]) -> str:
    """Return the node image definition that a `nodeImageVersion` names, of whatever version it is.

    Where the catalogue has no such image, that is what stands before the version.
    """
    named = version_string.rpartition("-")[0]
    known = (image.definition for image in images if image.version_string.rpartition("-")[0] == named)
    return next(known, named)


def _built(store: ImageStore, generation: Generation) -> DiskImage:
    form = Form.GEN1 if generation is Generation.V1 else Form.GEN2

    def tell(step: str, share: float) -> None:
        log.info("building_node_image", form=form.value, step=step, percent=round(100 * share))

    try:
        return build([form], store, default_cache(), tell)[0]
    except (MissingPackages, PackagesNotAvailable, ModuleMissing, ProgramFailed) as error:
        raise PermanentError(f"Poolwright's node image could not be built: {error}") from error


def evidence_key(path: Path) -> EvidenceKey:
    """Return the key that signs evidence, made at the first call; its public half lies beside it."""
    if path.exists():
        return EvidenceKey.load(path.read_bytes())
    key = EvidenceKey.generate()
    write_atomically(path.with_suffix(".pub"), key.public_pem, 0o644)
    write_atomically(path, key.private_pem())
    return key
