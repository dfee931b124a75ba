"""What a deployment may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from poolwright import errors
from poolwright.templates.requested import requested


@pytest.mark.parametrize(
    ("properties", "error", "wrong"),
    [
        ({"mode": "Complete", "template": {}}, errors.InvalidParameter, "'Complete' is not offered"),
        ({"template": {}, "templateLink": {"uri": "https://x"}}, errors.InvalidParameter, "'templateLink'"),
        ({"template": {}, "onErrorDeployment": {}}, errors.InvalidParameter, "'onErrorDeployment'"),
        ({}, errors.InvalidRequestContent, "'properties.template' is not an object"),
        ({"template": []}, errors.InvalidRequestContent, "'properties.template' is not an object"),
        ({"template": {}, "parameters": 1}, errors.InvalidRequestContent, "'properties.parameters' is not an object"),
    ],
)
def test_a_body_that_asks_for_what_is_not_offered_is_refused(
    properties: dict[str, Any], error: type[errors.PoolwrightError], wrong: str
) -> None:
    with pytest.raises(error) as caught:
        requested({"properties": properties})
    assert wrong in caught.value.message
