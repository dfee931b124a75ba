"""What is evaluated when its turn comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poolwright.templates.deferred import body_of, outputs_of
from tests.templates.builders import CLUSTERS, GROUP, cluster, pool, prepared


def test_what_refers_to_a_state_is_evaluated_when_its_turn_comes() -> None:
    made = prepared(
        {
            "cluster": cluster(),
            "np": pool(
                "[format('c1/np{0}', copyIndex())]",
                copy={"name": "np", "count": 2},
                properties={"tags": {"fqdn": "[reference('cluster').fqdn]", "index": "[string(copyIndex())]"}},
            ),
        }
    )
    second = made.resources[2]
    assert second.body is None
    seen: list[str] = []

    def reference(identifier: str) -> Mapping[str, Any]:
        seen.append(identifier)
        return {"properties": {"fqdn": "c1.invalid"}}

    body = body_of(made.deployment, made.resources, second, reference)
    assert body == {"properties": {"tags": {"fqdn": "c1.invalid", "index": "1"}}}
    assert seen == [f"{GROUP}/providers/{CLUSTERS}/c1"]


def test_outputs_are_evaluated_in_the_end_and_secure_ones_not_shown() -> None:
    made = prepared(
        {"cluster": cluster()},
        {"pw": "hunter2"},
        parameters={"pw": {"type": "secureString"}},
        outputs={
            "fqdn": {"type": "string", "value": "[reference('cluster').fqdn]"},
            "all": {"type": "array", "copy": {"count": 2, "input": "[copyIndex()]"}},
            "secret": {"type": "secureString", "value": "[parameters('pw')]"},
            "off": {"type": "string", "condition": False, "value": "[fail('not evaluated')]"},
        },
    )
    shown, wrong = outputs_of(made.deployment, made.resources, lambda identifier: {"properties": {"fqdn": "x"}})
    assert wrong == []
    assert shown == {
        "fqdn": {"type": "String", "value": "x"},
        "all": {"type": "Array", "value": [0, 1]},
        "secret": {"type": "SecureString"},
    }
    shown, wrong = outputs_of(made.deployment, made.resources, lambda identifier: None)
    assert [problem.target for problem in wrong] == ["outputs.fqdn.value"]
    assert shown.keys() == {"all", "secret"}
