"""Who may log in to machines: what their cluster said when they were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from poolwright.domain.machine import Login
from poolwright.domain.node_pool_kind import Mode
from poolwright.domain.os_sku import OsType
from poolwright.domain.upgrade_settings import UpgradeSettings
from tests.operations.workbench import OTHER_SIZE, Workbench

FIRST, SECOND = Login("azureuser", ("ssh-rsa first",)), Login("operator", ("ssh-rsa second",))


def telling(login: Login) -> dict[str, Any]:
    keys = [{"keyData": f"{key}\n"} for key in login.public_keys]
    return {"properties": {"linuxProfile": {"adminUsername": login.user, "ssh": {"publicKeys": keys}}}}


def logins(bench: Workbench, pool: str = "np1") -> dict[str, Login | None]:
    return {machine.id.machine: machine.spec.login for machine in bench.machines(pool)}


def test_new_keys_replace_no_machine_and_new_machines_have_them(bench: Workbench) -> None:
    bench.put_group()
    bench.done(bench.put_cluster(sent=telling(FIRST)))
    bench.done(bench.put_pool(count=2))
    before = logins(bench)
    assert list(before.values()) == [FIRST, FIRST]

    bench.done(bench.put_cluster(sent=telling(SECOND)))
    assert logins(bench) == before

    bench.done(bench.put_pool(count=3))
    after = logins(bench)
    assert {name: after[name] for name in before} == before
    assert [after[name] for name in after.keys() - before] == [SECOND]

    bench.done(bench.put_pool(count=3, vm_size=OTHER_SIZE, upgrade=UpgradeSettings("3")))
    assert list(logins(bench).values()) == [SECOND] * 3


@pytest.mark.parametrize(
    ("sent", "pool"),
    [
        ({}, {}),
        ({"properties": {"linuxProfile": {"adminUsername": "azureuser"}}}, {}),
        ({"properties": {"linuxProfile": {"adminUsername": "azureuser", "ssh": {"publicKeys": []}}}}, {}),
        (telling(FIRST), {"sent": {"securityProfile": {"sshAccess": "Disabled"}}}),
        (telling(FIRST), {"sent": {"securityProfile": {"sshAccess": "EntraId"}}}),
        (telling(FIRST), {"os_type": OsType.WINDOWS}),
    ],
    ids=["no profile", "no SSH", "no keys", "SSH disabled", "by Entra ID", "Windows"],
)
def test_nobody_may_log_in_where_aks_lets_nobody(
    sent: Mapping[str, Any], pool: Mapping[str, Any], bench: Workbench
) -> None:
    bench.put_group()
    bench.done(bench.put_cluster(pools={"sys": {"mode": Mode.SYSTEM}}, sent=sent))
    bench.done(bench.put_pool("np1", **pool))
    assert list(logins(bench).values()) == [None]


def test_the_account_has_az_s_name_where_none_was_chosen(bench: Workbench) -> None:
    sent = telling(FIRST)
    del sent["properties"]["linuxProfile"]["adminUsername"]
    bench.put_group()
    bench.done(bench.put_cluster(sent=sent))
    assert list(logins(bench, "sys").values()) == [FIRST]
