"""What the engine remembers comes back as it was."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from poolwright.domain.generation import Generation
from poolwright.domain.machine import Login, Witness
from poolwright.machines.local.journal import Journal
from poolwright.machines.local.life import Life, Phase
from tests.machines.test_life import BIOS, SPEC, UUID

FULL = Life(
    spec=replace(SPEC, zone="1", configuration="c", login=Login("azureuser", ("ssh-rsa one", "ssh-rsa two"))),
    uuid=UUID,
    phase=Phase.READY,
    began=12.5,
    made_from="00",
    stand_in=True,
    has_agent=False,
    has_seed=True,
    outdated=True,
    reimaging=True,
    leaving=True,
    boots=3,
    repairs=1,
    host_boot="b",
    last_seen=13.5,
    report=BIOS,
    observed=Generation.V1,
    observed_by=Witness.GUEST_AGENT,
    cause="why",
)


def test_every_field_comes_back(tmp_path: Path) -> None:
    fresh = Life(spec=replace(SPEC, key="other"), uuid=UUID)
    assert all(
        getattr(FULL, field.name) != getattr(fresh, field.name) for field in fields(Life) if field.name != "uuid"
    )
    first = Journal(tmp_path / "local.sqlite")
    first.put(FULL, fresh)
    first.close()
    again = Journal(tmp_path / "local.sqlite")
    assert again.lives() == {FULL.key: FULL, "other": fresh}
    again.forget("other")
    assert again.lives() == {FULL.key: FULL}
    again.close()


def test_evidence_stays_with_its_machine_and_goes_with_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "local.sqlite")
    journal.put(FULL)
    assert journal.evidence(FULL.key) is None
    journal.witness(FULL, {"nonce": "n"})
    journal.put(replace(FULL, boots=4))
    assert journal.evidence(FULL.key) == {"nonce": "n"}
    journal.forget(FULL.key)
    assert journal.evidence(FULL.key) is None
    journal.close()


def test_a_setting_is_what_it_first_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "local.sqlite")
    assert journal.setting("service", "a") == "a"
    assert journal.setting("service", "b") == "a"
    journal.close()
