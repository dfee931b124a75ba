"""Templates that mean no good: each ends soon, in little memory, with an error that names the limit."""

from __future__ import annotations

import resource
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolwright import errors
from poolwright.templates.budget import MAX_DEPTH
from poolwright.templates.deferred import outputs_of
from poolwright.templates.evaluation import SPECIAL, Evaluator, NotKnownYet
from poolwright.templates.expressions import MAX_CHARACTERS
from poolwright.templates.functions import FUNCTIONS
from poolwright.templates.preparation import prepare
from poolwright.templates.requested import Requested
from tests.templates.builders import HERE, WORLD, cluster, module
from tests.templates.test_functions import FACTS, PARAMETERS, TEMPLATE

# About two seconds are promised; a machine may be half as fast as the one where that was measured.
SECONDS, KIB = 4.0, 100_000


def output(expression: Any, **sections: Any) -> dict[str, Any]:
    """A template that shows the expression, and nothing else."""
    return {"resources": [], "outputs": {"o": {"type": "array", "value": expression}}, **sections}


def chain(number: int, body: str) -> dict[str, Any]:
    members = {
        f"f{index}": {"parameters": [], "output": {"type": "int", "value": body.format(index + 1)}}
        for index in range(number)
    }
    members[f"f{number}"] = {"parameters": [], "output": {"type": "int", "value": 1}}
    return {"functions": [{"namespace": "n", "members": members}]}


def copies(count: int, value: Any, name: str = "p") -> dict[str, Any]:
    return {"copy": [{"name": name, "count": count, "input": value}]}


def references(depth: int, width: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {
        f"d{level}": {
            "type": "object",
            "properties": {f"p{place}": {"$ref": f"#/definitions/d{level + 1}"} for place in range(width)},
        }
        for level in range(depth)
    }
    definitions[f"d{depth}"] = {"type": "string"}
    return {
        "resources": [],
        "definitions": definitions,
        "parameters": {"p": {"$ref": "#/definitions/d0", "defaultValue": {}}},
    }


LOOP = {"name": "l", "count": 800}
WIDE = {"variables": {"a": "x" * 2_000_000}}
RANGE = "range(0, 10000)"
MANY = ",".join(["variables('a')"] * 1_500)
BOMBS: dict[str, dict[str, Any]] = {
    "map in map": output(f"[map({RANGE}, lambda('x', map({RANGE}, lambda('y', 1))))]"),
    "sort": output(f"[map({RANGE}, lambda('z', sort({RANGE}, lambda('x', 'y', false()))))]"),
    "functions": output("[n.f0()]", **chain(30, "[add(n.f{0}(), n.f{0}())]")),
    "copy of copy of copy": output("x", variables={"v": copies(800, copies(800, copies(800, 1)))})
    | {"outputs": {"o": {"type": "object", "value": "[variables('v')]"}}},
    "copies of a long text": output(copies(800, "x" * 1_000_000)),
    "definitions": references(13, 8),
    "concat": output(f"[concat({MANY})]", **WIDE),
    "array of long texts": output(f"[createArray({MANY})]", **WIDE),
    "replace": output(
        "[replace(variables('a'), 'b', variables('c'))]", variables={"a": "b" * 990_000, "c": "x" * 10_000}
    ),
    "join": output(f"[join({RANGE}, variables('a'))]", **WIDE),
    "format": output(f"[format('{'{0,9999}' * 2_900}', 'x')]"),
    "format of a long text": output(f"[format('{'{0}' * 7_000}', variables('a'))]", **WIDE),
    "split": output(
        "[split(variables('a'), map(range(0, 10000), lambda('x', format('{0}y', lambdaVariables('x')))))]", **WIDE
    ),
    "padLeft": output(f"[map({RANGE}, lambda('x', padLeft('', 10000)))]"),
    "uriComponent": output("[uriComponent(variables('a'))]", variables={"a": "\U0001f600" * 900_000}),
    "uniqueString": output(f"[map({RANGE}, lambda('x', uniqueString(variables('a'))))]", **WIDE),
    "json": output("[json(concat('[', replace(variables('a'), 'x', '[],'), '1]'))]", **WIDE),
    "doubling": output(
        "[variables('v59')]",
        variables={"v0": "x"}
        | {f"v{n}": f"[createArray(variables('v{n - 1}'), variables('v{n - 1}'))]" for n in range(1, 60)},
    ),
    "objects": output(f"[toObject({RANGE}, lambda('x', string(lambdaVariables('x'))), lambda('x', {RANGE}))]"),
    "nested twice": {
        "resources": [
            module(
                "[format('a{0}', copyIndex())]",
                {"resources": [cluster("[format('c{0}', copyIndex())]", copy=LOOP)]},
                copy=LOOP,
            )
        ]
    },
    "nested and large": {
        "resources": [
            module("[format('a{0}', copyIndex())]", {"resources": [], "metadata": "x" * 1_000_000}, copy=LOOP)
        ]
    },
    "waiting for each other": {
        "resources": [
            cluster(
                f"[format('a{n}x{{0}}', copyIndex())]",
                copy={"name": f"l{n}", "count": 80},
                dependsOn=[f"l{n - 1}"] * n * 99,
            )
            for n in range(10)
        ]
    },
    "variables of each resource": {
        "resources": [cluster(f"c{n}", tags={"a": "[length(variables('v'))]"}) for n in range(800)],
        "variables": {"v": [0] * 400_000},
    },
    "many expressions": {
        "resources": [],
        "variables": {},
        "outputs": {
            "o": {"type": "array", "value": [f"[{'empty(' * 90}{n}{')' * 90}{' ' * 10}]" for n in range(6_000)]}
        },
    },
}


def evaluated(template: dict[str, Any]) -> None:
    """What validation does with it, but for the rehearsal."""
    made = prepare(HERE, Requested(template, {}), WORLD)
    shown, wrong = outputs_of(made.deployment, made.resources, lambda identifier: None)
    orjson.dumps(shown)
    for problem in wrong:
        raise problem


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_soon_and_in_little_memory(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    with pytest.raises(errors.InvalidTemplate, match=r"more than the limit of \d+ (steps|bytes|resources)"):
        evaluated(BOMBS[name])
    assert time.process_time() - begun < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < KIB


def value(text: str) -> Any:
    made = Evaluator(TEMPLATE, lambda name: PARAMETERS[name], FACTS)
    return made.value(f"[{text}]", "here")


def test_sets_of_long_arrays_are_united_in_one_pass() -> None:
    begun = time.process_time()
    assert value("length(union(range(0, 10000), range(10000, 10000)))") == 20_000
    assert value("length(intersection(range(0, 10000), range(5000, 10000)))") == 5_000
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("union(createArray(1, true(), '1'), createArray(1, false(), json('1.0')))", [1, True, "1", False]),
        ("union(json('[[1],{\"a\":1}]'), json('[[1],[true],{\"a\":1}]'))", [[1], {"a": 1}, [True]]),
        ("intersection(createArray(3, 1, 2, 1), createArray(1, 3))", [3, 1]),
        ("intersection(createArray(true()), createArray(1))", []),
        ('union(json(\'{"a":{"b":1}}\'), json(\'{"a":{"c":2}}\'))', {"a": {"b": 1, "c": 2}}),
    ],
)
def test_what_is_equal_is_there_once(text: str, wanted: Any) -> None:
    found = value(text)
    assert found == wanted
    assert [type(part) for part in found] == [type(part) for part in wanted]


def test_objects_are_united_without_changing_them() -> None:
    made = Evaluator({"variables": {"a": {"x": {"y": 1}}}}, lambda name: None, {})
    made.value("[union(variables('a'), createObject('x', createObject('z', 2)))]", "here")
    assert made.value("[variables('a')]", "here") == {"x": {"y": 1}}


HUGE = "9" * 23
REFUSED = {
    "infinite integer": "int(float('1e400'))",
    "no number": "int(float('nan'))",
    "infinite JSON": "json('1e400')",
    "no number in JSON": "json('[NaN]')",
    "integer in JSON": f"json('{HUGE}')",
    "2^63 in JSON": "json('[9223372036854775808]')",
    "integer in base64": "base64ToJson('OTk5OTk5OTk5OTk5OTk5OTk5OTk5')",
    "long integer in JSON": f"json('{'9' * 5_000}')",
    "literal": HUGE,
    "long literal": "9" * 5_000,
    "integer of text": f"int('{HUGE}')",
    "long integer of text": f"int('{'9' * 5_000}')",
    "deep JSON": f"json('{'[' * 900}{']' * 900}')",
    "deep array": "reduce(range(0, 900), 1, lambda('a', 'b', createArray(lambdaVariables('a'))))",
    "half a character": "json('\"\\ud800\"')",
    "half a character as a name": "json('{\"\\udc00\":1}')",
    "URI": "uri('http://[::1', 'x')",
    "relative URI": "uri('http://a', '//[')",
    "long chain": f"{RANGE}{'[0]' * 7_000}",
    "date before all": "dateTimeAdd('0001-01-01T00:00:00+23:00', 'P1D')",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_result_is_refused(name: str) -> None:
    with pytest.raises(errors.InvalidTemplate):
        value(REFUSED[name])


@pytest.mark.parametrize("sent", [2**63, [2**63], {"a": -(2**63) - 1}])
def test_integers_outside_64_bits_are_refused_as_parameters(sent: Any) -> None:
    kind = {int: "int", list: "array", dict: "object"}[type(sent)]
    template = {"resources": [], "parameters": {"p": {"type": kind}}}
    with pytest.raises(errors.InvalidTemplate, match="64-bit"):
        prepare(HERE, Requested(template, {"p": {"value": sent}}), WORLD)
    template["parameters"]["p"]["defaultValue"] = sent
    with pytest.raises(errors.InvalidTemplate, match="64-bit"):
        prepare(HERE, Requested(template, {}), WORLD)


@pytest.mark.parametrize("scope", ["/resourceGroups/x", "/", "/subscriptions", "//", "/providers/a/b/c"])
def test_a_scope_is_the_id_of_something(scope: str) -> None:
    with pytest.raises(errors.InvalidTemplate, match="scope"):
        prepare(HERE, Requested({"resources": [cluster(scope=scope)]}, {}), WORLD)


LONGEST = 2_000
HOSTILE = st.sampled_from(
    [
        *("0", "-1", "1", "10000", str(2**63 - 1), str(-(2**63)), HUGE, "''", "'a'", "'{0}'", "'{0,9999}'", "'P1D'"),
        *("null()", "true()", "json('1e308')", "float('nan')", "json('[]')", "json('{}')", "createArray()", RANGE),
        *("'2020-01-01T00:00:00Z'", "'0001-01-01T00:00:00+14:00'", "'P999999999Y'", "'10.0.0.0/8'", "'::/0'"),
        *("'http://[::1'", "'data:;base64,A'", "'%ff%f0'", "'\\ud800'", "json('\"\\u0000\"')", "variables('object')"),
        *("parameters('object')", "parameters('list')", "lambdaVariables('x')", "copyIndex()", f"'{'x' * LONGEST}'"),
        *("lambda('x', lambdaVariables('x'))", "lambda('x', 'y', true())", "lambda('x', 'y', 'z', 1)"),
        "padLeft('x', 10000)",
    ]
)
NAMES = st.sampled_from(sorted([row.name for row in FUNCTIONS.values()] + [row.name for row in SPECIAL.values()]))


def _called(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    call = st.tuples(NAMES, st.lists(inner, max_size=4)).map(lambda made: f"{made[0]}({','.join(made[1])})")
    chained = st.tuples(call, inner | st.just("'one'")).map(lambda made: f"{made[0]}[{made[1]}]")
    repeated = st.tuples(NAMES, inner, st.integers(1, 300)).map(
        lambda made: f"{made[0]}({','.join([made[1]] * made[2])})"
    )
    mapped = inner.map(lambda body: f"map(range(0, 99), lambda('x', {body}))")
    return call | call | chained | repeated | mapped


EXPRESSIONS = st.recursive(HOSTILE, _called, max_leaves=12).filter(lambda text: len(text) < MAX_CHARACTERS - 2)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS)
def test_any_expression_has_a_value_that_can_be_shown_or_is_refused(text: str) -> None:
    begun = time.process_time()
    try:
        found = value(text)
    except (errors.InvalidTemplate, NotKnownYet):
        pass
    else:
        orjson.dumps(found)
        depth, layer = 0, [found]
        while layer:
            depth += 1
            layer = [
                part
                for each in layer
                if isinstance(each, (list, dict))
                for part in (each.values() if isinstance(each, dict) else each)
            ]
        assert depth <= MAX_DEPTH
    assert time.process_time() - begun < 4
