"""A plan is a document: as its schema says, and read back as it was written."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from poolwright.fleet.audit import audit
from poolwright.fleet.document import document_of, json_of, json_pieces
from poolwright.fleet.plan import Plan
from tests.fleet.fleets import exported, fleet_of, targets_for
from tests.fleet.plans import planned


def test_the_pieces_of_a_document_are_its_json(made: Plan) -> None:
    for document in (made, planned(fleet_of()), audit(exported(), targets_for(exported()))):
        assert b"".join(json_pieces(document)) == json_of(document, indent=2) + b"\n"


def test_the_plan_is_a_document_that_can_be_read_back(made: Plan) -> None:
    assert document_of(Plan, json_of(made)) == made


def test_documents_are_as_the_published_schemas_say(made: Plan) -> None:
    docs = Path(__file__).parents[2] / "docs"
    fleet = exported()
    for name, document in (("fleet-plan", made), ("fleet-audit", audit(fleet, targets_for(fleet)))):
        schema = json.loads((docs / f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(json.loads(json_of(document)))
