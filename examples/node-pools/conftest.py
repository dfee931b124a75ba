"""What the service of these tests starts with."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def poolwright_settings() -> dict[str, object]:
    return {"seed": Path(__file__).with_name("seed.yaml")}
