"""What is below /_poolwright is for an owner of the service on the machine it runs on, and for nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from poolwright.arm.offered import LOCAL_AREAS
from tests.support.in_process import InProcess

OFFERED = [
    (row.method, re.sub(r"\{\w+\}", "x", row.path)) for area in LOCAL_AREAS for row in object.__new__(area).offered()
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    service = InProcess(tmp_path_factory.mktemp("local") / "data")
    service.client.make_cluster()
    yield service
    service.close()


def test_every_path_of_theirs_is_there() -> None:
    assert len(OFFERED) >= 5
    assert all(path.startswith("/_poolwright/") for _, path in OFFERED)


@pytest.mark.parametrize("address", ["192.0.2.1", "172.17.0.1", "2001:db8::1", "::ffff:192.0.2.1", "testclient", ""])
@pytest.mark.parametrize(("method", "path"), OFFERED)
def test_nobody_gets_there_from_elsewhere(app: InProcess, method: str, path: str, address: str) -> None:
    app.address = address
    reply = app.client.request(method, path)
    app.address = "127.0.0.1"
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert app.client.get(app.client.cluster()).status_code == 200


@pytest.mark.parametrize("token", ["", "Bearer x"])
@pytest.mark.parametrize(("method", "path"), OFFERED)
def test_nobody_gets_there_without_a_token(app: InProcess, method: str, path: str, token: str) -> None:
    reply = app.client.request(method, path, headers={"Authorization": token})
    assert reply.status_code == 401
    assert "WWW-Authenticate" in reply.headers
    assert app.client.get(app.client.cluster()).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_the_local_operator_does(app: InProcess, address: str) -> None:
    app.address = address
    assert app.client.get("/_poolwright/requests").status_code == 200
