"""Node pools in `az aks` commands: `create`, `nodepool add`, `nodepool update`, `nodepool upgrade`.

Source of the names: https://learn.microsoft.com/cli/azure/aks and https://learn.microsoft.com/cli/azure/aks/nodepool

Invariant: where an option may stand, a word that may be any number of words makes every property unknown that no other
argument gives. After an option, a variable without quotes is taken for its one value, as it is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from poolwright.az.options import AZ as OF_AZ
from poolwright.az.options import VERSION as AZ_VERSION
from poolwright.az.options import Spelled, options_of, spelled
from poolwright.lint.arm_templates import Given
from poolwright.lint.kinds import AZ_OPTION
from poolwright.lint.pools import AZ, Action, FoundCluster, FoundPool, Header, Json, Mistake, Reading, header_value
from poolwright.lint.properties import put
from poolwright.lint.shell import Command, Script
from poolwright.lint.shell_words import Value, Word, is_shell
from poolwright.lint.texts import Place, Text
from poolwright.reports.sarif import Level
from poolwright.templates.partial import Unknown

_SEVERAL_SIZES: Final = "--vm-sizes"
# Options of az, and ARM's property; a number, a list or a text.
_OPTIONS: Final[Mapping[str, str]] = {
    "--node-vm-size": "vmSize",
    "--vm-size": "vmSize",
    _SEVERAL_SIZES: "vmSize",
    "-s": "vmSize",
    "--os-type": "osType",
    "--os-sku": "osSKU",
    "--mode": "mode",
    "--vm-set-type": "type",
    "--workload-runtime": "workloadRuntime",
    "--gpu-driver": "gpuProfile.driver",
    "--priority": "scaleSetPriority",
    "--snapshot-id": "creationData.sourceResourceId",
    "--node-osdisk-type": "osDiskType",
}
_NUMBERS: Final[Mapping[str, str]] = {
    "--node-count": "count",
    "-c": "count",
    "--min-count": "minCount",
    "--max-count": "maxCount",
    "--max-pods": "maxPods",
    "-m": "maxPods",
    "--node-osdisk-size": "osDiskSizeGB",
}
_FLAGS: Final[Mapping[str, tuple[str, bool]]] = {
    "--enable-fips-image": ("enableFIPS", True),
    "--disable-fips-image": ("enableFIPS", False),
    "--enable-vtpm": ("securityProfile.enableVTPM", True),
    "--disable-vtpm": ("securityProfile.enableVTPM", False),
    "--enable-secure-boot": ("securityProfile.enableSecureBoot", True),
    "--disable-secure-boot": ("securityProfile.enableSecureBoot", False),
    "--enable-cluster-autoscaler": ("enableAutoScaling", True),
    "-e": ("enableAutoScaling", True),
}
_VERSION: Final = ("--kubernetes-version", "-k")
_LOCATION: Final = ("--location", "-l")
_HEADERS: Final = "--aks-custom-headers"
_NAME: Final = ("--name", "-n")
_GROUP: Final = ("--resource-group", "-g")
_SUBSCRIPTION: Final = ("--subscription",)
_CLUSTER_NAME: Final = ("--cluster-name",)
_POOL_NAME: Final = ("--nodepool-name", "--name", "-n")
_NAMED: Final = re.compile(r"(?:--[a-z][a-z-]*|-[a-z])=")
_LISTS: Final[Mapping[str, str]] = {"--zones": "availabilityZones", "-z": "availabilityZones"}

_ACTIONS: Final[Mapping[tuple[str, ...], Action]] = {
    ("create",): Action.CREATE,
    ("nodepool", "add"): Action.CREATE,
    ("nodepool", "update"): Action.UPDATE,
    ("nodepool", "upgrade"): Action.UPGRADE,
}
# What a command is taken for whose verb is unknown.
_WITHOUT_VERB: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {(): ("create",), ("nodepool",): ("nodepool", "add")}
_VERB: Final = re.compile(r"[a-z][a-z-]*")
# Options of every command of az that take a value and can stand before the command's name.
_GLOBAL_WITH_VALUE: Final = frozenset(("--output", "-o", "--query", "--subscription"))
# What does nothing with its words but to show them or to look for them.
_ONLY_SHOW: Final = frozenset(
    (*("echo", "printf", "grep", "egrep", "fgrep", "rg", "test", "[", "[[", ":", "true"), *("which", "type", "logger"))
)
_HIDDEN: Final = re.compile(r"\baz(?:\.cmd|\.exe)?\s+aks\s+(?:create|nodepool\s+(?:add|update|upgrade))\b")
# In what a variable or an array holds whose words run.
_ASSIGNED: Final = re.compile(r"\baks\s+(?:create|nodepool\s+(?:add|update|upgrade))\b")
_NOT_SHELL: Final = "the script cannot be read from here on as bash would read it; what could be told apart was read"
_SPENT: Final = "following the variables of the script takes too much; from here on they count as unknown"

# Subscription ("" is the one that is logged in), resource group and name of a cluster, in small letters.
_ClusterKey = tuple[str, str, str]


@dataclass(slots=True)
class _Arguments:
    """The options of a command: the words of each, and where they stand; the one that is given last stands last."""

    given: dict[str, list[Word]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    any_others: Unknown | None = None
    mistakes: list[Mistake] = field(default_factory=list)

    def put(self, name: str, place: Place) -> list[Word]:
        """Take note of an option, in the place of one of the same name, and return the list of its words."""
        self.given.pop(name, None)
        self.given[name] = []
        self.places[name] = place
        return self.given[name]

    def value(self, names: Iterable[str]) -> Value | None:
        """The value of the option of these names that counts, None where none is given."""
        name = self._last(names)
        if name is None:
            return None
        words = self.given[name]
        return words[0].value if words else ""

    def place(self, names: Iterable[str]) -> Place | None:
        name = self._last(names)
        return self.places[name] if name is not None else None

    def _last(self, names: Iterable[str]) -> str | None:
        wanted = tuple(names)
        return next((name for name in reversed(self.given) if name in wanted), None)


def read_script(text: Text, given: Given) -> tuple[Reading, list[tuple[Place, str]]]:
    """Return the node pools of a shell script, and what in it cannot be read, with the reason. Raises `Broken`."""
    script = Script(text)
    reading = read_commands(script.commands(), given)
    wrong = [(script.first_error(), _NOT_SHELL), (script.spent_at(), _SPENT)]
    return reading, [(place, reason) for place, reason in wrong if place is not None]


def read_commands(commands: Iterable[Command], given: Given) -> Reading:
    """Return the node pools of commands that run one after the other. Raises `Broken`."""
    reading = Reading()
    clusters: dict[_ClusterKey, list[FoundCluster]] = {}
    for found in commands:
        call = _call(found)
        if call is None:
            if _is_hidden(found):
                reading.pools.append(_hidden(found, given))
            continue
        reading.calls += 1
        command, verbs = call
        action = _ACTIONS.get(tuple(verbs)) if command.verb is None else Action.CREATE
        if action is None:
            continue
        arguments = _arguments(command.words, " ".join(("aks", *_WITHOUT_VERB.get(tuple(verbs), verbs))))
        if command.through is not None:
            arguments.any_others = Unknown(f"what {command.through} adds")
        if command.verb is not None:
            arguments.mistakes.clear()
            arguments.any_others = Unknown(f"what az aks {' '.join([*verbs, str(command.verb)])} does")
        if verbs == ["create"]:
            cluster = _cluster(arguments, given)
            key = _cluster_key(arguments, _NAME)
            if key is not None:
                clusters.setdefault(key, []).append(cluster)
        else:
            key = _cluster_key(arguments, _CLUSTER_NAME)
            first, *others = (clusters.get(key) if key is not None else None) or [_unseen(given)]
            # A script that creates it here or there says not where it is.
            cluster = first if all(other == first for other in others) else _unseen(given)
        reading.pools.append(_pool(command, arguments, cluster, action, is_first=verbs == ["create"]))
    return reading


@dataclass(frozen=True, slots=True)
class _Call:
    """The arguments of `az aks ...`, and what runs it where that is no wrapper that is known.

    `verb` is what stands where the name of the command ought to, and is not known.
    """

    words: Sequence[Word]
    place: Place
    condition: str | None
    through: str | None
    verb: Unknown | None


def _call(command: Command) -> tuple[_Call, list[str]] | None:
    """The call of az that a command is, with its verbs below `aks`; None where it is none."""
    words, first = command.words, command.words[0].value
    if isinstance(first, str) and first.rpartition("/")[2] in _ONLY_SHOW:
        return None
    at = next((index for index, word in enumerate(words) if is_az(word.value)), None)
    if at is None and (isinstance(first, Unknown) or command.is_function):
        at = 0  # `$AZ aks create`, or a function that gives az its arguments
    if at is None:
        return None
    options, rest = _global_options(words[at + 1 :])
    if not rest or rest[0].value != "aks":
        return None
    verbs: list[str] = []
    verb: Unknown | None = None
    for word in rest[1:3]:
        if isinstance(word.value, Unknown) and verbs in ([], ["nodepool"]):
            verb = word.value
        if not isinstance(word.value, str) or not _VERB.fullmatch(word.value):
            break
        verbs.append(word.value)
    if verbs[:1] == ["create"]:
        verbs = verbs[:1]
    conditions = [command.condition] if command.condition is not None else []
    through = None
    if isinstance(first, Unknown) and at == 0:
        conditions.append(f"{first} is az")
    elif command.is_function and at == 0:
        through = f"the function {first}"
        conditions.append(f"{through} runs az as it is written")
    elif not is_az(first):
        through = " ".join(str(word.value) for word in words[:at])
        conditions.append(f"{through} runs az as it is written")
    if verb is not None:
        conditions.append(f"{verb} is {_WITHOUT_VERB[tuple(verbs)][-1]}")
    condition = ", and ".join(conditions) or None
    arguments = [*rest[1 + len(verbs) + (verb is not None) :], *options]
    call = _Call(arguments, command.words[0].place, condition, through, verb)
    return call, verbs


def _global_options(words: Sequence[Word]) -> tuple[list[Word], Sequence[Word]]:
    """The options in front of the group of commands, as in `az --debug aks create`, and the rest."""
    at = 0
    while at < len(words):
        value = words[at].value
        if not isinstance(value, str) or not value.startswith("-"):
            break
        at += 2 if value in _GLOBAL_WITH_VALUE else 1
    return list(words[:at]), words[at:]


def _is_hidden(command: Command) -> bool:
    """Whether the command hands a text with commands of az to another shell, or is such a text."""
    first, *others = (word.value for word in command.words)
    may_run = isinstance(first, Unknown) or is_az(first) or is_shell(first)
    if may_run and any(map(_ASSIGNED.search, command.held)):
        return True
    texts = [first, command.fed, *(others if is_shell(first) else ())]
    return any(isinstance(text, str) and _HIDDEN.search(text) is not None for text in texts)


def _hidden(command: Command, given: Given) -> FoundPool:
    """A node pool of which nothing is known but that there is one."""
    first = command.words[0]
    name = next(iter(str(first.value).split()), "?")
    unknown = Unknown(f"what {name} runs is not read: write the command of az into the script itself")
    return FoundPool(
        name=unknown,
        address="?/?",
        tool=AZ,
        action=Action.CREATE,
        place=first.place,
        properties={"vmSize": Unknown(f"in a text for {name}")},
        cluster=_unseen(given),
        condition=command.condition,
        open_ended=unknown,
    )


def _cluster_key(arguments: _Arguments, name: Iterable[str]) -> _ClusterKey | None:
    """What names the cluster; None where some of it is not known, so that it may be any."""
    subscription, group, called = (arguments.value(each) for each in (_SUBSCRIPTION, _GROUP, name))
    if not isinstance(group, str) or not isinstance(called, str) or isinstance(subscription, Unknown):
        return None
    return (subscription or "").lower(), group.lower(), called.lower()


def is_az(value: Value) -> bool:
    """Whether the word names az."""
    return isinstance(value, str) and value.rpartition("/")[2] in ("az", "az.cmd", "az.exe")


def _arguments(words: Sequence[Word], command: str) -> _Arguments:
    found = _Arguments()
    known = options_of(command)
    current: list[Word] | None = None
    for word in words:
        value = word.value
        if isinstance(value, Unknown) and _NAMED.match(value.expression):
            name, _, inline = value.expression.partition("=")
            name = spelled(command, value.expression).option or name
            found.put(name, word.place).append(Word(Unknown(inline or value.expression), word.place))
            current = None
        elif isinstance(value, Unknown) and (current is None or (word.may_split and current)):
            # Where an option may stand, it may be several with their values.
            if word.may_split:
                found.any_others = value
        elif isinstance(value, str) and value.startswith("-") and not _is_number(value):
            spelling = spelled(command, value)
            name = spelling.option or value.partition("=")[0]
            mistake = _mistake(command, name, spelling, word.place)
            found.mistakes += [mistake] if mistake is not None else []
            current = found.put(name, word.place)
            if spelling.inline is not None:
                current.append(Word(_read_by_az(spelling.inline), word.place))
            if name in known and known[name].is_flag:
                current = None
        elif current is not None:
            current.append(replace(word, value=_read_by_az(value)))
    return found


def _read_by_az(value: Value) -> Value:
    """The value, unknown where az reads it from a file."""
    return Unknown(value) if isinstance(value, str) and value.startswith("@") else value


def _mistake(command: str, written: str, spelling: Spelled, place: Place) -> Mistake | None:
    """What az says of an option that it does not know."""
    at = f"az {command}"
    if spelling.option is not None:
        option = options_of(command)[spelling.option]
        if option.taken_by == OF_AZ:
            return None
        message = f"az {AZ_VERSION} has no option {spelling.option} for {at}; `{option.taken_by}` has"
        remedy = f"run it as `{option.taken_by}`, against Poolwright; against Azure make another node pool"
        return Mistake(place, message, remedy, AZ_OPTION, Level.WARNING)
    if spelling.could_be:
        message = f"az refuses {written} of {at}: it could be {', '.join(spelling.could_be)}"
        return Mistake(place, message, "write the option out", AZ_OPTION)
    if spelling.nearest is not None:
        message = f"az refuses {written}, which is no option of {at}; the nearest one is {spelling.nearest}"
        return Mistake(place, message, f"write {spelling.nearest}", AZ_OPTION)
    message = f"az {AZ_VERSION} has no option {written} for {at}, and what it says of the node pool is not known here"
    remedy = (
        f"leave it where an extension such as aks-preview has it, else correct it: `{at} --help` lists what there is"
    )
    return Mistake(place, message, remedy, AZ_OPTION, Level.WARNING)


def _is_number(text: str) -> bool:
    return text[1:].replace(".", "", 1).isdigit()


def _cluster(arguments: _Arguments, given: Given) -> FoundCluster:
    location = arguments.value(_LOCATION)
    if not isinstance(location, str) or not location:
        location = given.location or location or Unknown("the resource group's location")
    version = arguments.value(_VERSION)
    if version is None and arguments.any_others is not None:
        version = arguments.any_others
    return FoundCluster(location=location, version=version or None, version_place=arguments.place(_VERSION))


def _unseen(given: Given) -> FoundCluster:
    return FoundCluster(
        location=given.location or Unknown("the cluster's location"), version=Unknown("the cluster's version")
    )


def _pool(command: _Call, arguments: _Arguments, cluster: FoundCluster, action: Action, *, is_first: bool) -> FoundPool:
    properties, places = _properties(arguments)
    if is_first:
        properties["mode"] = "System"
        properties.pop("osType", None)
        name = arguments.value(("--nodepool-name",)) or "nodepool1"  # az's default
        called: tuple[str, ...] = ("--nodepool-name",)
    else:
        version = arguments.value(_VERSION)
        if version and action is not Action.UPGRADE:
            properties["orchestratorVersion"] = version
            places["orchestratorVersion"] = arguments.place(_VERSION) or command.place
        name = arguments.value(_POOL_NAME) or Unknown("--name")
        called = _POOL_NAME
        if command.verb is not None and arguments.place(_CLUSTER_NAME) is None:
            name = Unknown(f"az aks {command.verb}")  # what --name names depends on it
    headers = arguments.place((_HEADERS,))
    if headers is not None:
        places["header"] = headers
    places["name"] = arguments.place(called) or command.place
    of_cluster = arguments.value(_NAME if is_first else _CLUSTER_NAME)
    return FoundPool(
        name=name,
        address=f"{of_cluster or '?'}/{name}",
        tool=AZ,
        action=action,
        place=command.place,
        properties=properties,
        cluster=cluster,
        places=places,
        header=_header(arguments),
        condition=command.condition,
        open_ended=arguments.any_others,
        mistakes=tuple(arguments.mistakes),
    )


def _properties(arguments: _Arguments) -> tuple[Json, dict[str, Place]]:
    properties: Json = {}
    places: dict[str, Place] = {}
    for option, words in arguments.given.items():
        value: Any = words[0].value if words else ""
        if option in _OPTIONS:
            path = _OPTIONS[option]
            if option == _SEVERAL_SIZES and (len(words) > 1 or "," in str(value)):
                value = Unknown(" ".join(str(word.value) for word in words))
        elif option in _NUMBERS:
            path = _NUMBERS[option]
            value = int(value) if isinstance(value, str) and value.isdecimal() else Unknown(str(value))
        elif option in _FLAGS:
            path, is_on = _FLAGS[option]
            value = value if isinstance(value, Unknown) else is_on
        elif option in _LISTS:
            path = _LISTS[option]
            unknown = next((word.value for word in words if isinstance(word.value, Unknown)), None)
            value = unknown or [str(word.value) for word in words]
        else:
            continue
        if value == "":
            continue
        put(properties, path, value)
        places[path] = words[0].place if words else arguments.places[option]
    return properties, places


def _header(arguments: _Arguments) -> Header:
    value = arguments.value((_HEADERS,))
    if value is None or isinstance(value, Unknown):
        return value
    pairs = (part.partition("=") for part in value.split(","))
    return header_value({name.strip(): content.strip() for name, _, content in pairs})
