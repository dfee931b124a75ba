"""A running service notices what others change: its own changes at once, those of another process in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from poolwright import installation
from poolwright.access_control import NOTICED_WITHIN_SECONDS, AccessControl, object_id_of
from poolwright.arm.directory import Directory
from poolwright.domain.roles import READER
from poolwright.identity.tokens import Caller, InvalidToken
from poolwright.installation import DataDirectory
from poolwright.store import identity_statements
from poolwright.store.database import Database

READ = "Microsoft.ContainerService/managedClusters/read"


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    made = installation.open_database(directory)
    installation.ensure_identity(made, directory, local=False)
    yield made
    made.close()


@pytest.fixture
def elsewhere(tmp_path: Path, database: Database) -> Iterator[Database]:
    """The same database in another process, as far as the first one can tell."""
    other = installation.open_database(DataDirectory(tmp_path / "data"))
    yield other
    other.close()


def control() -> AccessControl:
    ids = iter(f"{number:08d}-0000-4000-8000-000000000000" for number in range(1, 1000))
    return AccessControl(now=lambda: 0.0, new_id=lambda: next(ids))


def add_reader(database: Database) -> Caller:
    made = control()
    with database.transaction() as connection:
        home = installation.home_subscription(connection)
        principal, _ = made.create_principal(connection, home.tenant_id, "reader", expires=None)
        made.assign(connection, home, f"/subscriptions/{home.subscription_id}", READER, principal.object_id)
    return Caller(principal.tenant_id, principal.app_id, principal.object_id)


def delete(database: Database, caller: Caller) -> None:
    with database.transaction() as connection:
        principal = identity_statements.service_principal(connection, caller.app_id)
        assert principal is not None
        control().delete_principal(connection, principal)


def test_a_change_of_this_process_counts_from_the_next_request_on(database: Database, clock: Clock) -> None:
    directory = Directory(database, clock, clock)
    caller = add_reader(database)
    directory.catch_up()
    assert directory.access(caller).may_everywhere(READ, next(iter(directory.subscriptions)))

    delete(database, caller)
    directory.catch_up()
    with pytest.raises(InvalidToken, match="has been deleted"):
        directory.access(caller)


def test_a_change_of_another_process_counts_when_that_has_waited(
    database: Database, elsewhere: Database, clock: Clock
) -> None:
    directory = Directory(database, clock, clock)
    caller = add_reader(database)
    directory.catch_up()
    known = directory.access(caller)

    delete(elsewhere, caller)
    clock.seconds += NOTICED_WITHIN_SECONDS / 2
    directory.catch_up()
    assert directory.access(caller) is known
    clock.seconds += NOTICED_WITHIN_SECONDS / 2
    directory.catch_up()
    with pytest.raises(InvalidToken, match="has been deleted"):
        directory.access(caller)


def test_what_has_nothing_to_do_with_identity_makes_it_forget_nothing(
    database: Database, elsewhere: Database, clock: Clock
) -> None:
    directory = Directory(database, clock, clock)
    caller = add_reader(database)
    directory.catch_up()
    known = directory.access(caller)
    for each in (database, elsewhere):
        with each.transaction() as connection:
            identity_statements.put_setting(connection, "something else", "1")
    clock.seconds += 1
    directory.catch_up()
    assert directory.access(caller) is known


def test_a_new_tenant_becomes_one_whose_tokens_and_issuer_are_taken(
    database: Database, elsewhere: Database, clock: Clock
) -> None:
    directory = Directory(database, clock, clock)
    with elsewhere.transaction() as connection:
        made = control().create_subscription(connection, "team-b", None)
    assert not directory.is_tenant(made.tenant_id)
    clock.seconds += NOTICED_WITHIN_SECONDS
    directory.catch_up()
    assert directory.is_tenant(made.tenant_id)
    assert directory.is_issuer(f"https://any.name:1/{made.tenant_id}/v2.0")
    assert directory.is_issuer("https://any.name:1/adfs")
    for wrong in (f"https://a/{made.tenant_id}x/v2.0", f"http://a/{made.tenant_id}/v2.0", "https://a/x/adfs", "adfs"):
        assert not directory.is_issuer(wrong)
    assert list(directory.subscriptions)[1:] == [made.subscription_id]


def test_a_caller_is_not_taken_for_a_principal_of_another_tenant_or_object(database: Database, clock: Clock) -> None:
    directory = Directory(database, clock, clock)
    caller = add_reader(database)
    directory.catch_up()
    other = "00000000-0000-4000-8000-000000000000"
    directory.access(caller)
    for forged in (
        Caller(other, caller.app_id, object_id_of(other, caller.app_id)),
        Caller(caller.tenant_id, caller.app_id, other),
    ):
        with pytest.raises(InvalidToken):
            directory.access(forged)
    assert directory.access(caller).principal.display_name == "reader"
