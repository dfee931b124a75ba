"""Resources of any type in one list, as `az resource list` asks for them.

Only resources of their own are listed, as Azure does: clusters and snapshots, not node pools and machines.

Invariant: a filter that is not understood is refused; nothing is listed that the filter leaves out.

Source: https://learn.microsoft.com/rest/api/resources/resources/list (2021-04-01 and later)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute, Over
from poolwright.arm.directory import Access
from poolwright.arm.documents import listing
from poolwright.arm.http import listed
from poolwright.arm.wire import timestamp
from poolwright.catalog.catalog import normalized_location
from poolwright.domain.cluster import Cluster
from poolwright.domain.resource_id import CLUSTER_TYPE, SNAPSHOT_TYPE
from poolwright.domain.snapshot import Snapshot
from poolwright.store import statements
from poolwright.store.records import load

Resource = dict[str, Any]
Filter = Callable[[Resource], bool]

_TAGS_TOGETHER = "tags are filtered by tagName eq '...', alone or with and tagValue eq '...'"


class Resources(Area):
    """Handlers of lists of resources."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "Resources_List",
                "GET",
                "/subscriptions/{subscription}/resources",
                self.list_resources,
                over=Over.EACH,
                answers={200: listing(documents.LISTED_RESOURCE)},
                query=("$filter", "$top"),
            ),
            OfferedRoute(
                "Resources_ListByResourceGroup",
                "GET",
                paths.GROUP + "/resources",
                self.list_group_resources,
                answers={200: listing(documents.LISTED_RESOURCE)},
                query=("$filter", "$top"),
            ),
        )

    async def list_resources(self, request: Request) -> Response:
        subscription = request.path_params["subscription"]
        clusters = self._reader.rows(statements.CLUSTERS_OF_SUBSCRIPTION, key=subscription, **statements.WHOLE_LIST)
        snapshots = self._reader.rows(statements.SNAPSHOTS_OF_SUBSCRIPTION, key=subscription)
        return _answer(request, self._access(request), clusters, snapshots)

    async def list_group_resources(self, request: Request) -> Response:
        group_id = paths.group_id(request)
        self._require_group(group_id.key, group_id.group)
        clusters = self._reader.rows(statements.CLUSTERS_OF_GROUP, key=group_id.key, **statements.WHOLE_LIST)
        snapshots = self._reader.rows(statements.SNAPSHOTS_OF_GROUP, key=group_id.key)
        return _answer(request, self._access(request), clusters, snapshots)


def _answer(request: Request, access: Access, clusters: list[Any], snapshots: list[Any]) -> Response:
    wanted = parse_filter(request.query_params.get("$filter"))
    top = _top(request.query_params.get("$top"))
    rows = [_of_cluster(load(Cluster, row[1])) for row in clusters]
    rows += [_of_snapshot(load(Snapshot, row[0])) for row in snapshots]
    found = [row for row in rows if wanted(row) and access.may(f"{row['type']}/read", row["id"])]
    return listed(orjson.dumps(row) for row in found[:top])


def _of_cluster(cluster: Cluster) -> Resource:
    sent = cluster.sent
    return {
        "id": str(cluster.id),
        "name": cluster.id.cluster,
        "type": CLUSTER_TYPE,
        "location": cluster.location,
        "provisioningState": cluster.state.value,
        **{name: sent[name] for name in ("sku", "tags", "identity") if name in sent},
    }


def _of_snapshot(snapshot: Snapshot) -> Resource:
    return {
        "id": str(snapshot.id),
        "name": snapshot.id.snapshot,
        "type": SNAPSHOT_TYPE,
        "location": snapshot.location,
        "provisioningState": "Succeeded",
        "createdTime": timestamp(snapshot.created),
        **({"tags": snapshot.sent["tags"]} if "tags" in snapshot.sent else {}),
    }


def _group_of(resource: Resource) -> str:
    return str(resource["id"]).split("/")[4]


# What a filter may ask of a resource; everything is compared without case.
_SUBJECTS: Final[Mapping[str, Callable[[Resource], str]]] = {
    "name": lambda resource: str(resource["name"]),
    "resourcetype": lambda resource: str(resource["type"]),
    "resourcegroup": _group_of,
    "location": lambda resource: str(resource["location"]),
}
_TOKEN: Final = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<mark>[(),])|(?P<word>[A-Za-z/]+))")
_MAX_FILTER: Final = 4096
_MAX_PARENTHESES: Final = 50


def parse_filter(text: str | None) -> Filter:
    """Return what a `$filter` of the list of resources lets through. Raises `InvalidParameter`."""
    if not text or not text.strip():
        return lambda resource: True
    try:
        if len(text) > _MAX_FILTER:
            raise ValueError(f"it is longer than {_MAX_FILTER} characters")
        return _Filter(text).whole()
    except ValueError as error:
        raise errors.InvalidParameter(
            f"The value of $filter is invalid: {error}.",
            target="$filter",
            remedy="filter by name, resourceType, resourceGroup or location (eq, ne, substringof) or by tagName",
        ) from error


class _Filter:
    """Reads `a eq 'x' and (b ne 'y' or substringof('z', name))`, from left to right; `and` binds closer."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        if self._tokens.count("(") > _MAX_PARENTHESES:
            raise ValueError(f"it has more than {_MAX_PARENTHESES} parentheses")
        self._next = 0

    def whole(self) -> Filter:
        result = self._any_of()
        if self._next < len(self._tokens):
            raise ValueError(f"'{self._tokens[self._next]}' is not expected")
        return result

    def _any_of(self) -> Filter:
        parts = [self._all_of()]
        while self._takes("or"):
            parts.append(self._all_of())
        return lambda resource: any(part(resource) for part in parts)

    def _all_of(self) -> Filter:
        parts = [self._one()]
        while self._takes("and"):
            parts.append(self._one())
        return lambda resource: all(part(resource) for part in parts)

    def _one(self) -> Filter:
        if self._takes("("):
            inner = self._any_of()
            self._expect(")")
            return inner
        word = self._word()
        if word == "substringof":
            return self._substring()
        if word == "startswith":
            return self._tag_prefix()
        if word == "tagname":
            return self._tag()
        read = _SUBJECTS.get(word)
        if read is None:
            raise ValueError(f"'{word}' cannot be filtered by" if word != "tagvalue" else _TAGS_TOGETHER)
        operator = self._word()
        if operator not in ("eq", "ne"):
            raise ValueError(f"'{operator}' is not an operator; eq and ne are")
        wanted = self._text().lower()
        if word == "location":
            wanted = normalized_location(wanted)
        return lambda resource: (read(resource).lower() == wanted) is (operator == "eq")

    def _substring(self) -> Filter:
        self._expect("(")
        part = self._text().lower()
        self._expect(",")
        word = self._word()
        read = _SUBJECTS.get(word)
        if read is None:
            raise ValueError(f"'{word}' cannot be filtered by")
        self._expect(")")
        return lambda resource: part in read(resource).lower()

    def _tag_prefix(self) -> Filter:
        """`startswith(tagname, 'x')`, which is what `az resource list --tag x*` asks."""
        self._expect("(")
        self._expect("tagname")
        self._expect(",")
        prefix = self._text().lower()
        self._expect(")")
        return lambda resource: any(name.lower().startswith(prefix) for name in resource.get("tags", {}))

    def _tag(self) -> Filter:
        self._expect("eq")
        name = self._text().lower()
        value: str | None = None
        if [token.lower() for token in self._tokens[self._next : self._next + 2]] == ["and", "tagvalue"]:
            self._next += 2
            self._expect("eq")
            value = self._text()

        def has(resource: Resource) -> bool:
            tags = {key.lower(): text for key, text in resource.get("tags", {}).items()}
            return name in tags and value in (None, tags[name])

        return has

    def _takes(self, word: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next].lower() == word:
            self._next += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise ValueError(f"'{word}' is expected after '{' '.join(self._tokens[: self._next][-3:])}'")

    def _word(self) -> str:
        if self._next == len(self._tokens) or not self._tokens[self._next][0].isalpha():
            raise ValueError("a name or an operator is expected")
        self._next += 1
        return self._tokens[self._next - 1].lower()

    def _text(self) -> str:
        if self._next == len(self._tokens) or self._tokens[self._next][0] != "'":
            raise ValueError("a text in single quotes is expected")
        self._next += 1
        return self._tokens[self._next - 1][1:-1].replace("''", "'")


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"it cannot be read from '{text[place:].strip()[:20]}' on")
        place = match.end()
        yield match[0].strip()


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise errors.InvalidParameter(
            f"The value of $top is invalid: '{text[:20]}'. It is a number from 1.",
            target="$top",
            remedy="send a number from 1, or leave $top out",
        )
    return int(text)
