"""Every function of template expressions, by example: what it gives, and what it does not take.

The examples are those of Microsoft's pages on template functions where they have one; `uniqueString` and
`guid` repeat values that were seen in Azure (templates/unique_string.py names where).
"""

# ruff: noqa: E501 - the tables have one row a line

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright import errors
from poolwright.templates.evaluation import SPECIAL, Evaluator, Frame, Named
from poolwright.templates.expressions import calls, parse
from poolwright.templates.functions import FUNCTIONS
from poolwright.templates.unique_string import hash64, unique_string

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/c1"
POOL = f"{CLUSTER}/agentPools/np1"
CLUSTERS, POOLS = "Microsoft.ContainerService/managedClusters", "Microsoft.ContainerService/managedClusters/agentPools"
FACTS: dict[str, Any] = {
    "subscription": {"id": f"/subscriptions/{SUBSCRIPTION}", "subscriptionId": SUBSCRIPTION, "tenantId": "t"},
    "resourceGroup": {"id": GROUP, "name": "rg", "location": "eastus", "tags": {"Team": "blue"}},
    "tenant": {"tenantId": "t"},
    "deployment": {"name": "main"},
    "deployer": {"objectId": "o"},
    "environment": {"name": "Poolwright", "suffixes": {"keyVaultDns": "vault.invalid"}},
    "now": "2020-04-07T14:53:14+00:00",
}
PARAMETERS: dict[str, Any] = {
    "one": 1,
    "text": "OneTwoThree",
    "none": None,
    "list": ["one", "two", "three"],
    "object": {"one": "a", "two": "b", "three": {"four": [4]}},
}
TEMPLATE: dict[str, Any] = {
    "variables": {
        "copy": [{"name": "names", "count": 3, "input": "[format('np{0}', copyIndex('names', 1))]"}],
        "greeting": "[concat('Hello, ', parameters('text'))]",
        "object": {
            "copy": [{"name": "squares", "count": 3, "input": "[mul(copyIndex('squares'), copyIndex('squares'))]"}]
        },
    },
    "functions": [
        {
            "namespace": "__bicep",
            "members": {
                "twice": {
                    "parameters": [{"name": "x", "type": "int"}],
                    "output": {"value": "[mul(parameters('X'), 2)]"},
                },
                "quadruple": {
                    "parameters": [{"name": "x", "type": "int"}],
                    "output": {"value": "[__bicep.twice(__bicep.twice(parameters('x')))]"},
                },
                "endless": {"parameters": [], "output": {"value": "[__bicep.endless()]"}},
                "outside": {"parameters": [], "output": {"value": "[variables('greeting')]"}},
            },
        }
    ],
}
DOCUMENTS = {
    CLUSTER: {"id": CLUSTER, "location": "eastus", "properties": {"fqdn": "c1.invalid"}},
    POOL: {"properties": {"count": 3}},
}

GIVES: list[tuple[str, Any]] = [
    # Arrays.
    ("array(1)", [1]),
    ("array('efgh')", ["efgh"]),
    ("array(createArray(1))", [1]),
    ("concat(createArray('1-1'), createArray('2-1', '2-2'))", ["1-1", "2-1", "2-2"]),
    ("concat('prefix-', 'a', 1)", "prefix-a1"),
    ("contains(parameters('text'), 'e')", True),
    ("contains(parameters('text'), 'E')", False),
    ("contains(parameters('object'), 'ONE')", True),
    ("contains(parameters('object'), 'a')", False),
    ("contains(parameters('list'), 'three')", True),
    ("contains(createArray(1, 2), '1')", False),
    ("createArray()", []),
    ("createArray('a', 1, createArray())", ["a", 1, []]),
    ("empty('')", True),
    ("empty(createArray())", True),
    ("empty(createObject())", True),
    ("empty(null())", True),
    ("empty('x')", False),
    ("first(parameters('list'))", "one"),
    ("first('One Two Three')", "O"),
    ("first('')", ""),
    ("flatten(createArray(createArray(1), createArray(2, createArray(3))))", [1, 2, [3]]),
    ("indexFromEnd(parameters('list'), 1)", "three"),
    ("indexOf('test', 't')", 0),
    ("indexOf('abcdef', 'CD')", 2),
    ("indexOf('abcdef', 'z')", -1),
    ("indexOf(parameters('list'), 'two')", 1),
    ("lastIndexOf('test', 't')", 3),
    ("lastIndexOf(createArray(1, 2, 1), 1)", 2),
    ("lastIndexOf(createArray(1), 2)", -1),
    ("intersection(createArray('one', 'two', 'three'), createArray('two', 'three'))", ["two", "three"]),
    (
        "intersection(createObject('one', 'a', 'two', 'b', 'three', 'c'), createObject('one', 'a', 'two', 'z', 'three', 'c'))",
        {"one": "a", "three": "c"},
    ),
    ("last(parameters('list'))", "three"),
    ("last('One Two Three')", "e"),
    ("length(parameters('list'))", 3),
    ("length('One Two Three')", 13),
    ("length(parameters('object'))", 3),
    ("max(0, 3, 2, 5, 4)", 5),
    ("max(createArray(0, 3))", 3),
    ("min(0, 3, 2, 5, 4)", 0),
    ("range(5, 3)", [5, 6, 7]),
    ("skip(parameters('list'), 2)", ["three"]),
    ("skip('one two three', 4)", "two three"),
    ("skip('abc', 10)", ""),
    ("take(parameters('list'), 2)", ["one", "two"]),
    ("take('one two three', 2)", "on"),
    ("take('abc', -1)", ""),
    ("tryIndexFromEnd(parameters('list'), 3)", "one"),
    ("tryIndexFromEnd(parameters('list'), 4)", None),
    ("union(createArray('one', 'two'), createArray('two', 'four'))", ["one", "two", "four"]),
    # Objects.
    (
        "union(createObject('property', createObject('one', 'a', 'two', 'b')), createObject('property', createObject('two', 'c')))",
        {"property": {"one": "a", "two": "c"}},
    ),
    ("createObject('intProp', 1, 'stringProp', 'abc')", {"intProp": 1, "stringProp": "abc"}),
    ("items(createObject('b', 2, 'a', 1))", [{"key": "a", "value": 1}, {"key": "b", "value": 2}]),
    ("json('{\"a\": \"b\"}').a", "b"),
    ("json('1.5')", 1.5),
    ("json('null')", None),
    ("null()", None),
    ("objectKeys(parameters('object'))", ["one", "three", "two"]),
    ("shallowMerge(createArray(createObject('a', 1), createObject('a', 2, 'b', 3)))", {"a": 2, "b": 3}),
    ("tryGet(parameters('object'), 'none')", None),
    ("tryGet(parameters('object'), 'three', 'four', 0)", 4),
    ("tryGet(parameters('list'), 7)", None),
    ("tryGet(null(), 'a', 'b')", None),
    ("parameters('object').ONE", "a"),
    ("parameters('list')[1]", "two"),
    # Comparison and logic.
    ("coalesce(parameters('none'), null(), 'fallback')", "fallback"),
    ("equals('abc', 'ABC')", False),
    ("equals(parameters('list'), createArray('one', 'two', 'three'))", True),
    ("equals(true(), 1)", False),
    ("equals(1, json('1.0'))", True),
    ("greater(5, 3)", True),
    ("greater('a', 'b')", False),
    ("greaterOrEquals('a', 'a')", True),
    ("less(1, 2)", True),
    ("lessOrEquals('a', 'b')", True),
    ("and(bool('true'), bool('false'))", False),
    ("or(true(), fail('is not evaluated'))", True),
    ("and(false(), fail('is not evaluated'))", False),
    ("not(bool(0))", True),
    ("bool('1')", True),
    ("if(true(), 'yes', fail('is not evaluated'))", "yes"),
    ("if(equals('a', 'b'), fail('is not evaluated'), 'no')", "no"),
    # Numbers.
    ("add(5, 3)", 8),
    ("div(8, 3)", 2),
    ("div(-7, 2)", -3),
    ("float('3.0')", 3.0),
    ("int('4')", 4),
    ("int(json('4.9'))", 4),
    ("mod(7, 3)", 1),
    ("mod(-7, 2)", -1),
    ("mul(5, 3)", 15),
    ("sub(7, 3)", 4),
    # Strings.
    ("base64('one, two, three')", "b25lLCB0d28sIHRocmVl"),
    ("base64ToString('b25lLCB0d28sIHRocmVl')", "one, two, three"),
    ("base64ToJson(base64('{''one'': ''a'', ''two'': ''b''}'))", {"one": "a", "two": "b"}),
    ("dataUri('Hello')", "data:text/plain;charset=utf8;base64,SGVsbG8="),
    ("dataUriToString('data:;base64,SGVsbG8sIFdvcmxkIQ==')", "Hello, World!"),
    ("dataUriToString('data:text/plain,a%20b')", "a b"),
    ("endsWith('abcdef', 'EF')", True),
    ("startsWith('abcdef', 'AB')", True),
    ("startsWith('abcdef', 'e')", False),
    ("format('{0}, {1}. Formatted number: {2:N0}', 'Hello', 'User', 8175133)", "Hello, User. Formatted number: 8,175,133"),
    ("format('{{{0,4}|{0,-4}|{0:D3}|{0:X}|{1}}}', 7, true())", "{   7|7   |007|7|True}"),
    ("format('{0:000}', 42)", "042"),
    ("format('{0:F1}', 3)", "3.0"),
    ("guid('a', 'b', 'c')", str(uuid.uuid5(uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830"), "a-b-c"))),
    ("join(createArray('one', 2), ', ')", "one, 2"),
    ("padLeft('123', 10, '0')", "0000000123"),
    ("padLeft(7, 3)", "  7"),
    ("replace('123-123-1234', '-', '')", "1231231234"),
    ("split('one,two;three', createArray(',', ';'))", ["one", "two", "three"]),
    ("split('a.b', '.')", ["a", "b"]),
    ("string(parameters('list'))", '["one","two","three"]'),
    ("string(false())", "False"),
    ("string(createObject('a', null()))", '{"a":null}'),
    ("substring('one two three', 4, 3)", "two"),
    ("substring('abc', 1)", "bc"),
    ("toLower('One')", "one"),
    ("toUpper('One')", "ONE"),
    ("trim('    one two three   ')", "one two three"),
    ("uniqueString('test')", "rbgf3xv4ufgzg"),
    ("uniqueString('hello', 'world')", "a7wkljktk6wne"),
    ("uri('http://contoso.com/resources/', 'nested/azuredeploy.json')", "http://contoso.com/resources/nested/azuredeploy.json"),
    ("uriComponent('http://a b/c')", "http%3A%2F%2Fa%20b%2Fc"),
    ("uriComponentToString('http%3A%2F%2Fa%20b')", "http://a b"),
    # Dates.
    ("dateTimeAdd('2020-04-07 14:53:14Z', 'P3Y')", "4/7/2023 2:53:14 PM"),
    ("dateTimeAdd('2020-04-07 14:53:14Z', '-P9D')", "3/29/2020 2:53:14 PM"),
    ("dateTimeAdd('2020-04-07 14:53:14Z', 'PT1H')", "4/7/2020 3:53:14 PM"),
    ("dateTimeAdd('2020-01-31T00:00:00Z', 'P1M', 'u')", "2020-02-29 00:00:00Z"),
    ("dateTimeAdd('2020-01-31T23:59:59.5+01:00', 'PT0S', 'yyyyMMddTHHmmssZ')", "20200131T225959Z"),
    ("dateTimeFromEpoch(1683040573)", "2023-05-02T15:16:13Z"),
    ("dateTimeToEpoch('2023-05-02T15:16:13Z')", 1683040573),
    # Networks.
    ("parseCidr('10.144.0.0/20').lastUsable", "10.144.15.254"),
    ("parseCidr('10.144.0.0/20').broadcast", "10.144.15.255"),
    ("cidrSubnet('10.144.0.0/20', 24, 0)", "10.144.0.0/24"),
    ("cidrSubnet('10.144.0.0/20', 24, 15)", "10.144.15.0/24"),
    ("cidrHost('10.144.3.0/24', 1)", "10.144.3.2"),
    # Lambdas.
    ("filter(createArray(1, 2, 3), lambda('x', greater(lambdaVariables('x'), 1)))", [2, 3]),
    ("filter(createArray(7, 8), lambda('x', 'i', equals(lambdaVariables('i'), 1)))", [8]),
    ("map(createArray(1, 2), lambda('x', add(lambdaVariables('X'), 1)))", [2, 3]),
    ("map(range(0, 2), lambda('x', map(range(0, 2), lambda('y', add(lambdaVariables('x'), lambdaVariables('y'))))))", [[0, 1], [1, 2]]),
    ("mapValues(createObject('a', 1), lambda('v', mul(lambdaVariables('v'), 10)))", {"a": 10}),
    ("reduce(createArray(1, 2, 3), 0, lambda('sum', 'x', add(lambdaVariables('sum'), lambdaVariables('x'))))", 6),
    ("sort(createArray(3, 1, 2), lambda('a', 'b', less(lambdaVariables('a'), lambdaVariables('b'))))", [1, 2, 3]),
    ("toObject(createArray('a', 'b'), lambda('k', lambdaVariables('k')))", {"a": "a", "b": "b"}),
    ("toObject(createArray(1), lambda('k', string(lambdaVariables('k'))), lambda('v', true()))", {"1": True}),
    ("groupBy(createArray('ab', 'ac', 'b'), lambda('s', first(lambdaVariables('s'))))", {"a": ["ab", "ac"], "b": ["b"]}),
    # The template.
    ("parameters('ONE')", 1),
    ("variables('greeting')", "Hello, OneTwoThree"),
    ("variables('names')", ["np1", "np2", "np3"]),
    ("variables('object').squares", [0, 1, 4]),
    ("CONCAT('a', sys.concat('b'))", "ab"),
    ("__bicep.quadruple(3)", 12),
    ("copyIndex()", 2),
    ("copyIndex(10)", 12),
    ("copyIndex('LOOP', 1)", 3),
    # The deployment.
    ("deployment().name", "main"),
    ("deployer().objectId", "o"),
    ("environment().suffixes.keyvaultDns", "vault.invalid"),
    ("subscription().subscriptionId", SUBSCRIPTION),
    ("resourceGroup().tags.team", "blue"),
    ("tenant().tenantId", "t"),
    ("newGuid()", "made"),
    ("utcNow()", "20200407T145314Z"),
    ("utcNow('u')", "2020-04-07 14:53:14Z"),
    # Resources.
    (f"resourceId('{POOLS}', 'c1', 'np1')", POOL),
    (f"resourceId('other', '{CLUSTERS}', 'c1')", CLUSTER.replace("/rg/", "/other/")),
    (f"resourceId('s', 'g', '{CLUSTERS}', 'c1')", f"/subscriptions/s/resourceGroups/g/providers/{CLUSTERS}/c1"),
    ("subscriptionResourceId('Microsoft.Resources/resourceGroups', 'g')", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g"),
    ("subscriptionResourceId('s', 'Microsoft.Authorization/roleDefinitions', 'r')", "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/r"),
    ("tenantResourceId('Microsoft.Authorization/roleDefinitions', 'r')", "/providers/Microsoft.Authorization/roleDefinitions/r"),
    (
        f"extensionResourceId(resourceId('{CLUSTERS}', 'c1'), 'Microsoft.Authorization/roleAssignments', 'a')",
        f"{CLUSTER}/providers/Microsoft.Authorization/roleAssignments/a",
    ),
    ("resourceInfo('cluster').id", CLUSTER),
    ("reference('cluster').fqdn", "c1.invalid"),
    ("reference('cluster', '2025-10-01', 'Full').location", "eastus"),
    (f"reference(resourceId('{CLUSTERS}', 'c1'), '2025-10-01').fqdn", "c1.invalid"),
    ("reference('pools[0]').count", 3),
    ("references('pools')", [{"count": 3}]),
]  # fmt: skip

REFUSED: list[tuple[str, str]] = [
    ("listKeys('x', '2025-10-01')", "The template function 'listKeys' is not valid. Please see https://aka.ms/arm-functions"),
    ("concat()", "The template function 'concat' takes 1 or more parameter(s), got 0"),
    ("if(true(), 1)", "takes 3 parameter(s), got 2"),
    ("padLeft('a', 1, ' ', 2)", "takes 2 to 3 parameter(s), got 4"),
    ("concat('a', createArray())", "either strings or arrays are expected, not both"),
    ("if('true', 1, 2)", "A boolean is expected, got String"),
    ("add('1', 2)", "'add' has an invalid parameter: an integer is expected, got String"),
    ("mul(9223372036854775807, 2)", "outside the range of a 64-bit integer"),
    ("div(1, 0)", "the divisor is zero"),
    ("createObject('a')", "an even number of arguments"),
    ("first(1)", "an array is expected, got Integer"),
    ("empty(1)", "an object, an array, or a string is expected, got Integer"),
    ("length(true())", "got Boolean"),
    ("max(createArray())", "at least one integer"),
    ("range(0, 10001)", "the count is 0 to 10000"),
    ("substring('abc', 2, 2)", "must refer to a location within the string"),
    ("format('{1}', 'a')", "there are 1 values to fill in"),
    ("format('{0:P}', 1)", "the number format 'P' is not one this service knows"),
    ("padLeft('a', 3, 'ab')", "the filler is one character"),
    ("padLeft('a', 100000000)", "the total length is 0 to 10000"),
    ("replace('a', '', 'b')", "the text to replace is empty"),
    ("json('{')", "the text is not JSON"),
    ("base64ToString('?')", "the text is not base64"),
    ("dataUriToString('x')", "the text is not a data URI"),
    ("int('x')", "the text is not an integer"),
    ("float('x')", "the text is not a number"),
    ("bool('yes')", "a boolean, an integer"),
    ("uri('relative', 'x')", "the base is no absolute URI"),
    ("dateTimeAdd('yesterday', 'P1D')", "the text is not a date"),
    ("dateTimeAdd('2020-01-01T00:00:00Z', '1 day')", "is not a valid ISO8601 Duration string"),
    ("dateTimeAdd('2020-01-01T00:00:00Z', 'P9999Y')", "leads out of the calendar"),
    ("dateTimeAdd('2020-01-01T00:00:00Z', 'P1D', 'Q')", "'Q' is no date format"),
    ("dateTimeFromEpoch(99999999999999)", "leads out of the calendar"),
    ("parseCidr('10.0.0.0/40')", "is not an IP address range"),
    ("cidrSubnet('10.0.0.0/24', 20, 0)", "the new prefix is 24 to 32"),
    ("cidrSubnet('10.0.0.0/24', 25, 2)", "there is no subnet 2"),
    ("cidrHost('10.0.0.0/30', 2)", "there is no host 2"),
    ("indexFromEnd(createArray(1), 2)", "outside the bounds"),
    ("parameters('object').none", "The language expression property 'none' doesn't exist, available properties are 'one, two, three'"),
    ("parameters('list')[3]", "array index '3' is out of bounds"),
    ("parameters('one').x", "its target is of type 'Integer'"),
    ("variables('nothing')", "The template variable 'nothing' is not found"),
    ("copyIndex('other')", "The template function 'copyIndex' is not expected at this location"),
    ("copyIndex('loop', 'x')", "The offset of the template function 'copyIndex' is an integer"),
    ("lambda('x', 1)", "The template function 'lambda' is not expected at this location"),
    ("lambdaVariables('x')", "The lambda variable 'x' is not found"),
    ("map(createArray(1), 'x')", "A lambda expression is expected"),
    ("map(createArray(1), lambda('a', 'b', 'c', 1))", "takes 1 to 2 variable(s), got 3"),
    ("filter(createArray(1), lambda('a', 1))", "The lambda expression returns a boolean, got Integer"),
    ("groupBy(createArray(1), lambda('a', 1))", "The lambda expression returns a string for a key"),
    ("__bicep.endless()", "calls itself"),
    ("__bicep.outside()", "'variables' is not valid in a user-defined function"),
    ("__bicep.twice()", "takes 1 argument(s), got 0"),
    (f"resourceId('{POOLS}', 'c1')", "has 2 segment(s) after its namespace, and 1 name(s) were given"),
    ("resourceId('a', 'b')", "no argument is a resource type"),
    ("reference('nothing')", "resource is not defined in the template"),
    (f"reference('{CLUSTER}x')", "The Resource 'Microsoft.ContainerService/managedClusters/c1x' was not found"),
    ("resourceInfo('nothing')", "it is not defined in the template"),
    ("managementGroup()", "The template function 'managementGroup' is not valid"),
    ("fail('because of this')", "'because of this'"),
]  # fmt: skip


def evaluator() -> Evaluator:
    made = Evaluator(
        TEMPLATE, lambda name: PARAMETERS[name.lower()], FACTS, reference=DOCUMENTS.get, new_id=lambda: "made"
    )
    made.named = [
        Named(CLUSTER, CLUSTERS, "c1", "2025-10-01", "cluster"),
        Named(POOL, POOLS, "c1/np1", "2025-10-01", "pools[0]"),
    ]
    return made


FRAME = Frame(copies={"": 2, "loop": 2}, is_default=True)


@pytest.mark.parametrize(("expression", "expected"), GIVES, ids=[expression for expression, _ in GIVES])
def test_a_function_gives_what_its_page_says(expression: str, expected: Any) -> None:
    value = evaluator().value(f"[{expression}]", "here", FRAME)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(("expression", "wrong"), REFUSED, ids=[expression for expression, _ in REFUSED])
def test_what_a_function_does_not_take_is_told_with_its_place(expression: str, wrong: str) -> None:
    with pytest.raises(errors.InvalidTemplate) as caught:
        evaluator().value({"a": [f"[{expression}]"]}, "resources[0]", FRAME)
    assert wrong in caught.value.message
    if expression.startswith("__bicep.") and "takes" not in wrong:
        assert str(caught.value.target).startswith("functions.__bicep.")
    else:
        assert caught.value.target == "resources[0].a[0]"
        assert f"[{expression}]" in caught.value.message


def test_every_function_has_an_example() -> None:
    used = {
        call.function.lower().removeprefix("sys.")
        for text, _ in (*GIVES, *REFUSED)
        for call in calls(parse(f"[{text}]"))
    }
    assert {*FUNCTIONS, *SPECIAL} <= used


def test_functions_of_the_default_value_are_refused_elsewhere() -> None:
    for expression in ("[utcNow()]", "[newGuid()]"):
        with pytest.raises(errors.InvalidTemplate, match="only be used in the default value of a parameter"):
            evaluator().value(expression, "here")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda name: not name.startswith("[")), inner),
        max_leaves=20,
    )
)
def test_json_without_expressions_means_itself(value: Any) -> None:
    def escaped(part: Any) -> Any:
        if isinstance(part, str):
            return f"[{part}" if part.startswith("[") and part.endswith("]") else part
        if isinstance(part, list):
            return [escaped(each) for each in part]
        return {name: escaped(each) for name, each in part.items()} if isinstance(part, dict) else part

    if not (isinstance(value, dict) and isinstance(value.get("copy"), list)):
        assert evaluator().value(escaped(value), "here") == value


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["abc"], "cgtzqvhu4i23s"),
        (["tyeth"], "zcztcwvu6iyg6"),
        (["foo", "bar", "baz"], "xzi4ioaxtmth4"),
        (["/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/my-rg"], "bmg7c6xu4tw46"),
    ],
)
def test_unique_strings_are_those_seen_in_azure(values: list[str], expected: str) -> None:
    assert unique_string(values) == expected


def test_the_hash_is_the_published_one() -> None:
    assert hash64(b"hello-world") == 571013382255652050


@given(st.lists(st.text(), min_size=1))
def test_a_unique_string_has_13_letters_of_its_alphabet(values: list[str]) -> None:
    made = unique_string(values)
    assert len(made) == 13
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_what_is_built_has_a_limit() -> None:
    doubling = {
        f"v{index}": f"[createArray(variables('v{index - 1}'), variables('v{index - 1}'))]" for index in range(1, 60)
    }
    made = Evaluator({"variables": {"v0": "x", **doubling}}, lambda name: None, {})
    with pytest.raises(errors.InvalidTemplate, match="more than the limit of 50000000 bytes"):
        made.value("[variables('v59')]", "here")


def test_a_variable_that_depends_on_itself_is_refused() -> None:
    made = Evaluator({"variables": {"a": "[variables('b')]", "b": "[variables('a')]"}}, lambda name: None, {})
    with pytest.raises(errors.InvalidTemplate, match="depends on itself"):
        made.value("[variables('a')]", "here")
