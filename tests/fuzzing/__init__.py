"""Requests made from the OpenAPI description, by the tens of thousands, against a real service. `make fuzz` runs it."""
