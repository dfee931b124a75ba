"""Commands of shell scripts, as far as their words are known without running anything.

A variable is known where every way to the command assigned it the same value before, in the same script. Whatever the
script may do at run time - conditions, loops, functions, substitutions, other scripts - makes what it touches unknown.

The syntax is tree-sitter-bash's; heredocs, comments and quoted texts are no commands there.

Invariant: a word that is not `Unknown` is what the shell would pass, whatever happens. Once following the variables
has taken `Effort`, they are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import pairwise
from typing import Final

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from poolwright.lint.effort import Effort
from poolwright.lint.shell_changes import changed_unseen, made_readonly
from poolwright.lint.shell_words import (
    HIDING,
    KEEPING,
    MAX_ELEMENTS,
    MAX_SHOWN,
    MAX_VALUE,
    PLAIN_OPTION,
    Names,
    Value,
    Word,
    assigned_by_builtin,
    is_pattern,
    is_shell,
    more,
    perhaps,
    run_by,
    shortened,
    together,
    unescaped,
)
from poolwright.lint.texts import Broken, Place, Text
from poolwright.templates.partial import Unknown

MAX_CHARACTERS: Final = 1024 * 1024
_MAX_DEPTH: Final = 100
# Of the syntax: what stands in a node is looked at once for each one around it.
_MAX_TREE_DEPTH: Final = 3_000
# Longer expansions do more than to name a variable.
_MAX_NAME: Final = 1_000
_BLOCK: Final = 1024
_FOLLOWING: Final = bytes(range(0x80, 0xC0))


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command. `condition` is what it stands in, None at the top of the script.

    `fed` is what a shell is given to read: here-documents, and what is before it in a pipe. `held` is what the script
    assigns to the variables of unknown words, where those say what runs. `is_function` says that the script has a
    function of that name.
    """

    words: tuple[Word, ...]
    place: Place
    condition: str | None
    fed: str = ""
    held: tuple[str, ...] = ()
    is_function: bool = False


@dataclass(slots=True)
class _State:
    """What variables hold at a point of the script: a value, or the elements of an array."""

    known: dict[str, Value | list[Word]] = field(default_factory=dict)
    # After `source` or `eval`, whatever was not assigned since may have changed; it is unknown anyway.

    def copy(self, effort: Effort) -> _State:
        return _State(dict(self.known) if effort.takes(steps=len(self.known)) else {})


_CONDITIONAL: Final[Mapping[str, str]] = {
    "if_statement": "if",
    "case_statement": "case",
    "for_statement": "for",
    "c_style_for_statement": "for",
    "while_statement": "while",
    "until_statement": "until",
}
_LOOPS: Final = ("for_statement", "c_style_for_statement", "while_statement", "until_statement")
_BRANCHES: Final = ("elif_clause", "else_clause", "case_item")
# Their own copy of the variables: what they assign is gone with them.
_SUBSHELLS: Final = ("subshell", "pipeline", "command_substitution", "process_substitution")
_FORGETTING: Final = ("source", ".", "eval")
_FEEDING: Final = ("redirected_statement", "heredoc_redirect", "pipeline")
_ASSIGNED_NAME: Final = re.compile(r"""["']?([A-Za-z_]\w*)(?:\[.*|\+?=.*)?["']?""", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_ARITHMETIC: Final = ("arithmetic_expansion", "compound_statement", "c_style_for_statement")
_ARITHMETIC_ASSIGNS: Final = re.compile(r"\+\+|--|(?<![=!<>])=(?!=)|<<=|>>=")
_EXPANSION_ASSIGNS: Final = re.compile(rb"\$\{(\w+)(?:\[[^]]*\])?:?=")
_TARGETED: Final = (
    *("variable_assignment", "for_statement", "command", "unset_command", "declaration_command", "expansion"),
    *_ARITHMETIC,
)
# As the last word of `[ -e / ]` the grammar takes it for a division; words are taken from the source, not from what it
# is given to read.
_LONE_SLASH: Final = re.compile(rb"(?<=[ \t])/(?=[ \t]+\])")
# A comment in backticks ends with them, which the grammar does not know. What stands in quotes may be no such.
_IN_BACKTICKS: Final = re.compile(rb"`([^`\\\n]*)`")
_COMMENT_IN_IT: Final = re.compile(rb"([^'\"]*?)(?:(?<=[\s;])|\A)#")
_BLANKS: Final = b" \t\n"
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
# Also in quotes it may be any number of words.
_MANY: Final = re.compile(r"\$@|\$\{[@\w]+\[@\]\}|\$\{@")


@cache
def _language() -> Language:
    return Language(tree_sitter_bash.language())


def _root_of(written: bytes) -> Node:
    """The syntax, without the comments in backticks where the grammar takes it for wrong because of them."""
    parser = Parser(_language())
    root = parser.parse(written).root_node
    if root.has_error and b"`" in written:
        other = parser.parse(_IN_BACKTICKS.sub(_without_comment, written)).root_node
        return root if other.has_error else other
    return root


def _without_comment(found: re.Match[bytes]) -> bytes:
    """The same length of text with blanks in the place of the comment, or of all if that is a word of its own."""
    comment = _COMMENT_IN_IT.match(found[1])
    if comment is None:
        return found[0]
    before = comment[1].strip() and comment[1]
    around = found.string[found.start() - 1 : found.start()] + found.string[found.end() : found.end() + 1]
    if not before and not around.strip(_BLANKS):
        return b" " * len(found[0])
    return b"`" + (before or b":").ljust(len(found[1])) + b"`"


class Script:
    """A script as bash would read it.

    Where the syntax is wrong, the commands that can be told apart all the same are read.
    """

    def __init__(self, text: Text) -> None:
        """Raises `Broken`."""
        if len(text.content) > MAX_CHARACTERS:
            raise Broken(text.place(0), f"the script is longer than {MAX_CHARACTERS} characters; split it")
        self._text = text
        self._raw = text.content.encode("utf-8", "surrogatepass")
        self._characters_before = _characters_before(self._raw)
        self._root = _root_of(_LONE_SLASH.sub(b".", self._raw))
        self._require_shallow()
        self._effort = Effort()
        self._spent_at: Node | None = None
        self._functions = {
            self._source(name): node
            for node in self._all(self._root, "function_definition")
            if (name := node.child_by_field_name("name")) is not None
        }
        self._assigned_by: dict[str, Names] = {}
        self._targets_of: dict[int, Names] = {}
        self._has_own_separators = self._changes_separators()
        self._never_known = together((self._shadowed(), self._changed_unseen(), self._kept()))

    def _require_shallow(self) -> None:
        cursor = self._root.walk()
        depth = 0
        while True:
            if cursor.goto_first_child():
                depth += 1
                if depth > _MAX_TREE_DEPTH and cursor.node is not None:
                    raise Broken(self.place(cursor.node), "the script is nested too deeply; split it")
                continue
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return
                depth -= 1

    def first_error(self) -> Place | None:
        """Return where the syntax is wrong first, None where it is not."""
        if not self._root.has_error:
            return None
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if node.is_error or node.is_missing:
                return self.place(node)
            waiting += reversed([child for child in node.children if child.has_error or child.is_missing])
        return self.place(self._root)

    def spent_at(self) -> Place | None:
        """Return from where on variables are unknown because following them takes too much, None where all were."""
        return self.place(self._spent_at) if self._spent_at is not None else None

    def commands(self) -> Iterator[Command]:
        """Yield the commands, those of functions last. Raises `Broken`."""
        state = _State()
        yield from self._walk(self._root, state, None, 0)
        # A function runs at another time: what is assigned once, and before anything calls it, is the same then.
        once, calls = self._assigned_once(), self._first_calls()
        for name, node in self._functions.items():
            body = node.child_by_field_name("body")
            called = calls.get(name, len(self._raw))
            is_affordable = self._effort.takes(steps=len(state.known))
            known = {
                each: value
                for each, value in (state.known.items() if is_affordable else ())
                if once.get(each, called) < called
            }
            if body is not None:
                yield from self._walk(body, _State(known), f"function {name}", 0)

    def place(self, node: Node) -> Place:
        block, rest = divmod(node.start_byte, _BLOCK)
        start = block * _BLOCK
        return self._text.place(self._characters_before[block] + _characters(self._raw[start : start + rest]))

    def _walk(self, node: Node, state: _State, condition: str | None, depth: int) -> Iterator[Command]:
        """Yield the commands in the node and let `state` become what holds after it."""
        if depth > _MAX_DEPTH:
            raise Broken(self.place(node), f"the script is nested deeper than {_MAX_DEPTH} levels")
        kind = node.type
        if kind == "command":
            yield from self._command(node, state, condition, depth)
        elif kind in ("variable_assignment", "declaration_command", "unset_command"):
            yield from self._inner(node, state, condition, depth)
            self._assign(node, state)
        elif kind == "function_definition":
            return
        elif kind in _CONDITIONAL:
            inside = state.copy(self._effort)
            if kind in _LOOPS:
                self._forget(inside, self._assigned_in(node))
            told = condition or self._headline(node)
            before = inside.copy(self._effort)
            for assigned in self._before_branches(node):
                self._forget(before, assigned)
            for child, own in self._statements(node, inside):
                # Every branch begins with what held before; the first one stands in the statement itself.
                branch = before.copy(self._effort) if child.type in _BRANCHES else own
                yield from self._walk(child, branch, told, depth + 1)
            grown = self._grown(node, state)
            self._forget(state, self._assigned_in(node))
            state.known |= grown
        elif kind in _SUBSHELLS:
            for child, own in self._statements(node, state.copy(self._effort)):
                yield from self._walk(child, own, condition, depth + 1)
        elif kind == "list":
            yield from self._list(node, state, condition, depth)
        elif kind in ("expansion", "arithmetic_expansion"):
            yield from self._inner(node, state, condition, depth)
            self._forget(state, self._targets(node))
        elif kind in ("heredoc_body", "comment"):
            return
        elif kind == "compound_statement" and self._is_arithmetic(node):
            yield from self._inner(node, state, condition, depth)
            self._forget(state, self._targets(node))
        else:
            for child, own in self._statements(node, state):
                yield from self._walk(child, own, condition, depth + 1)

    def _statements(self, node: Node, state: _State) -> Iterator[tuple[Node, _State]]:
        """What stands in the node, each with the variables it works on: `a &` has its own copy of them."""
        for child, after in pairwise([*node.children, None]):
            if child is not None and child.is_named:
                yield child, state.copy(self._effort) if after is not None and after.type == "&" else state

    def _before_branches(self, node: Node) -> Iterator[Names]:
        """What may be assigned in a statement before a branch of it other than the first begins."""
        if node.type == "case_statement":
            # After `;&` and `;;&` the branch before has run.
            if any(part.type in (";&", ";;&") for child in node.named_children for part in child.children[-1:]):
                yield self._assigned_in(node)
        elif node.type == "if_statement":
            for each in (node, *(child for child in node.named_children if child.type == "elif_clause")):
                for child in each.children:
                    if child.type == "then":
                        break
                    if child.is_named:
                        yield self._assigned_in(child)

    def _list(self, node: Node, state: _State, condition: str | None, depth: int) -> Iterator[Command]:
        """`a && b || c`: after the first, nothing is certain to run."""
        # Long chains are nested to the left.
        chain = [node]
        while chain[-1].named_children and chain[-1].named_children[0].type == "list":
            chain.append(chain[-1].named_children[0])
        children = [
            *chain[-1].named_children,
            *(part for each in reversed(chain[:-1]) for part in each.named_children[1:]),
        ]
        for index, child in enumerate(children):
            if index == 0:
                yield from self._walk(child, state, condition, depth + 1)
                continue
            told = condition or self._before(child, node)
            grown = self._grown(child, state)
            yield from self._walk(child, state, told, depth + 1)
            self._forget(state, self._assigned_in(child))
            state.known |= grown

    def _before(self, child: Node, chain: Node) -> str:
        """What stands before a part of `a && b || c`, for people."""
        end = min(child.start_byte, chain.start_byte + 8 * MAX_SHOWN)
        text = " ".join(self._raw[chain.start_byte : end].decode("utf-8", "replace").split())
        operator = child.prev_sibling
        while operator is not None and operator.is_named:
            operator = operator.prev_sibling
        sign = operator.type if operator is not None else ""
        return f"{shortened(text.removesuffix(sign).rstrip())} {sign}"

    def _grown(self, node: Node, state: _State) -> dict[str, list[Word]]:
        """The arrays to which the node adds words, if it runs, and which nothing in it changes otherwise."""
        if not self._effort.takes(steps=len(state.known)):
            return {}
        arrays = {name: value for name, value in state.known.items() if isinstance(value, list)}
        if not arrays or not self._effort.takes(steps=2 * node.descendant_count):
            return {}
        changed = [self._assigned_by_function(name) for name in self._called_in(node)]
        for each in self._all(node, *_TARGETED):
            target, value = each.child_by_field_name("name"), each.child_by_field_name("value")
            name = self._source(target) if target is not None and each.type == "variable_assignment" else ""
            if name not in arrays or value is None or value.type != "array" or not self._adds(each):
                changed.append(self._targets(each))
                continue
            added = self._array(value, _State())
            words = perhaps(added) if isinstance(added, list) else [self._any_words(value, self.place(value))]
            if not self._effort.takes(words=len(arrays[name]) + len(words)):
                return {}
            arrays[name] = [*arrays[name], *words]
        others = together(changed)
        grown = {name: words for name, words in arrays.items() if words is not state.known[name]}
        return {name: words for name, words in grown.items() if others is not None and name not in others}

    def _adds(self, assignment: Node) -> bool:
        target = assignment.child_by_field_name("name")
        return target is not None and self._raw[target.end_byte : target.end_byte + 1] == b"+"

    def _forget(self, state: _State, names: Names) -> None:
        if names is None or not self._effort.takes(steps=len(names)):
            state.known.clear()
            return
        for name in names:
            state.known.pop(name, None)

    def _inner(self, node: Node, state: _State, condition: str | None, depth: int) -> Iterator[Command]:
        """The commands in the substitutions of a word or an assignment."""
        for child in node.named_children:
            if child.type in ("command_substitution", "process_substitution"):
                yield from self._walk(child, state, condition, depth + 1)
                continue
            if child.type in ("expansion", "arithmetic_expansion"):
                self._forget(state, self._targets(child))
            if child.named_child_count and child.type != "heredoc_body":
                if depth > _MAX_DEPTH:
                    raise Broken(self.place(child), f"the script is nested deeper than {_MAX_DEPTH} levels")
                yield from self._inner(child, state, condition, depth + 1)

    def _command(self, node: Node, state: _State, condition: str | None, depth: int) -> Iterator[Command]:
        yield from self._inner(node, state, condition, depth)
        name = node.child_by_field_name("name")
        if name is not None and b"\n" in self._raw[node.start_byte : name.start_byte]:
            # The grammar takes the line `A=x > file` for the beginning of the command after it.
            self._forget(state, self._assigned_in_front(node))
        written = self._written_words(node, state)
        words = run_by(written)
        if self._effort.is_spent and self._spent_at is None:
            self._spent_at = node
        if words and words[0].value:
            own = words[0] is written[0] and words[0].value in self._functions
            fed = self._fed(node) if is_shell(words[0].value) else ""
            yield Command(tuple(words), words[0].place, condition, fed, self._held(words), own)
        self._forget(state, self._assigned_by_command(node, words))

    def _command_words(self, node: Node, state: _State) -> list[Word]:
        """The words of the command that runs in the end."""
        return run_by(self._written_words(node, state))

    def _written_words(self, node: Node, state: _State) -> list[Word]:
        words: list[Word] = []
        end = -1
        for child in node.named_children:
            if child.type in ("variable_assignment", "heredoc_redirect", "file_redirect", "herestring_redirect"):
                continue
            self._append(words, child, end, state)
            end = child.end_byte
        return words

    def _append(self, words: list[Word], node: Node, end: int, state: _State) -> None:
        """Add the words of an argument; `end` is where the one before it ends."""
        if node.start_byte == end:
            # The grammar takes a`b`c for two.
            place = words[-1].place if words else self.place(node)
            words[-1:] = [self._any_words(node, place)]
        else:
            words += self._words(node, state)

    def _fed(self, node: Node) -> str:
        """What a shell may read: here-documents, and the commands and texts before it in its statement."""
        top = node
        while top.parent is not None and top.parent.type in _FEEDING:
            top = top.parent
        if not self._effort.takes(steps=top.descendant_count):
            return ""
        parts = list(self._all(top, "heredoc_body", "herestring_redirect"))
        before = (each for each in self._all(top, "command") if each.start_byte < node.start_byte)
        parts += [each for each in before if not self._source(each).startswith("az ")]
        return "\n".join(map(self._source, parts))

    def _held(self, words: list[Word]) -> tuple[str, ...]:
        """What is assigned to the variables in what may run: the first two words, or all for a shell."""
        if self._effort.is_spent:
            return ()
        may_run = words if is_shell(words[0].value) else words[:2]
        texts = [word.value.expression for word in may_run if isinstance(word.value, Unknown)]
        names = {name for text in texts for name in _NAME.findall(text)}
        held = tuple(source for name in sorted(names) for source in self._assignments.get(name, ()))
        return held if self._effort.takes(characters=sum(map(len, held))) else ()

    @cached_property
    def _assignments(self) -> dict[str, list[str]]:
        """The assignments of each variable, as they are written."""
        found: dict[str, list[str]] = {}
        for node in self._all(self._root, "variable_assignment"):
            for name in self._targets(node) or ():
                found.setdefault(name, []).append(self._source(node))
        return found

    def _assigned_in_front(self, node: Node) -> Names:
        """The variables of `A=x` before the name of a command."""
        return together(self._targets(child) for child in node.named_children if child.type == "variable_assignment")

    def _assigned_by_command(self, node: Node, words: list[Word]) -> Names:
        """The variables that the command with these words may assign."""
        if not words or not words[0].value:
            # Nothing runs, so that `A=x > file` assigns.
            return self._assigned_in_front(node)
        name = words[0].value
        if name in _FORGETTING or isinstance(name, Unknown):
            return None
        if name in self._functions:
            return self._assigned_by_function(name)
        by_itself = assigned_by_builtin(name, words[1:])
        return together((by_itself, self._assigned_in_front(node))) if name in KEEPING else by_itself

    def _words(self, node: Node, state: _State) -> list[Word]:
        """The words that one argument becomes."""
        place = self.place(node)
        if node.type == "command_name" and node.named_children:
            node = node.named_children[0]
        kind = node.type
        if kind in ("simple_expansion", "expansion"):
            return self._split(self._expanded(node, state), node, place)
        if kind == "string":
            inner = node.named_children
            if len(inner) == 1 and inner[0].type == "expansion" and self._source(node)[1:-1] == self._source(inner[0]):
                array = self._elements(inner[0], state)
                if array is not None:
                    return array if self._effort.takes(words=len(array)) else [self._any_words(node, place)]
        if kind == "string" and _MANY.search(self._source(node)):
            return [self._any_words(node, place)]
        if kind == "concatenation" and is_pattern("".join(map(self._bare, node.children))):
            return [self._any_words(node, place)]
        if kind == "concatenation":
            parts = [self._value(part, state) for part in node.children]
            unquoted = [part for part in node.children if part.type in ("simple_expansion", "expansion")]
            joined = self._joined(parts, node)
            splits = any(part.type == "command_substitution" for part in node.children) or any(
                self._may_split(self._expanded(part, state)) for part in unquoted
            )
            return [Word(Unknown(self._shown(node)), place, may_split=True)] if splits else [Word(joined, place)]
        if kind == "command_substitution":
            return [Word(Unknown(self._shown(node)), place, may_split=True)]
        value = self._value(node, state)
        return [Word(value, place, may_split=kind == "word" and isinstance(value, Unknown))]

    def _bare(self, node: Node) -> str:
        """The source of a part of a word that is not quoted."""
        is_bare = node.type not in ("string", "raw_string", "simple_expansion", "expansion", "command_substitution")
        return self._source(node) if is_bare else ""

    def _split(self, value: Value | list[Word], node: Node, place: Place) -> list[Word]:
        """What an expansion outside of quotes becomes."""
        size = {"words": len(value)} if isinstance(value, list) else {"characters": len(str(value))}
        if isinstance(value, Unknown) or not self._effort.takes(**size):
            return [self._any_words(node, place)]
        if isinstance(value, list):
            return [
                Word(Unknown(str(word.value)), word.place, may_split=True) if self._may_split(word.value) else word
                for word in value
            ]
        if is_pattern(value) or self._has_own_separators:
            return [self._any_words(node, place)]
        parts = value.split()
        if not self._effort.takes(words=len(parts)):
            return [self._any_words(node, place)]
        return [Word(part, place) for part in parts]

    def _any_words(self, node: Node, place: Place) -> Word:
        return Word(Unknown(self._shown(node)), place, may_split=True)

    def _may_split(self, value: Value | list[Word]) -> bool:
        return self._has_own_separators or not isinstance(value, str) or len(value.split()) != 1 or is_pattern(value)

    def _value(self, node: Node, state: _State) -> Value:
        """The value of a part of a word."""
        source = self._source(node)
        match node.type:
            case "word" | "number" | "variable_name":
                if is_pattern(source):
                    return Unknown(shortened(source))
                return _ESCAPED.sub(lambda found: "" if found[1] == "\n" else found[1], source)
            case "raw_string":
                return source[1:-1]
            case "string":
                return self._quoted(node, state)
            case "concatenation":
                return self._joined([self._value(part, state) for part in node.children], node)
            case "simple_expansion" | "expansion":
                value = self._expanded(node, state)
                return value if isinstance(value, str) else Unknown(shortened(source))
        if not node.is_named:
            return source
        return Unknown(shortened(source))

    def _quoted(self, node: Node, state: _State) -> Value:
        """A text in double quotes. The characters between its parts are in the source alone."""
        raw, at, parts, length = self._raw, node.start_byte + 1, [], 0
        for child in node.named_children:
            if child.type == "string_content":
                continue
            parts.append(unescaped(raw[at : child.start_byte].decode("utf-8", "replace")))
            value = self._value(child, state)
            length += len(value) if isinstance(value, str) else 0
            if isinstance(value, Unknown) or length > MAX_VALUE or not self._effort.takes(characters=len(value)):
                return Unknown(self._shown(node)[1:-1])
            parts.append(value)
            at = child.end_byte
        parts.append(unescaped(raw[at : node.end_byte - 1].decode("utf-8", "replace")))
        return "".join(parts)

    def _joined(self, parts: list[Value], node: Node) -> Value:
        length = sum(map(len, map(str, parts)))
        if any(isinstance(part, Unknown) for part in parts) or length > MAX_VALUE:
            return Unknown(self._shown(node))
        if not self._effort.takes(characters=length):
            return Unknown(self._shown(node))
        return "".join(map(str, parts))

    def _expanded(self, node: Node, state: _State) -> Value | list[Word]:
        """The value of `$name` or `${name}`; what does more than that is unknown."""
        if self._effort.is_spent or node.end_byte - node.start_byte > _MAX_NAME:
            return Unknown(self._shown(node))
        source = self._source(node)
        name = source[1:] if node.type == "simple_expansion" else source[2:-1]
        array = self._elements(node, state)
        if array is not None:
            return array
        value = state.known.get(name, Unknown(shortened(source)))
        if isinstance(value, list):
            return value[0].value if value else ""
        return Unknown(shortened(source)) if isinstance(value, Unknown) else value

    def _elements(self, node: Node, state: _State) -> list[Word] | None:
        """The elements of `${name[@]}` where they are known."""
        if self._effort.is_spent or node.end_byte - node.start_byte > _MAX_NAME:
            return None
        found = re.fullmatch(r"\$\{(\w+)\[@\]\}", self._source(node))
        value = state.known.get(found[1]) if found is not None else None
        return list(value) if isinstance(value, list) else None

    def _assign(self, node: Node, state: _State) -> None:
        """Carry out the assignments of a statement."""
        if node.type != "variable_assignment":
            self._forget(state, self._targets(node))
        if node.type == "unset_command":
            return
        assignments = [node] if node.type == "variable_assignment" else []
        assignments += [child for child in node.named_children if child.type == "variable_assignment"]
        # All words of `export A=b C=$A` are expanded before the first is assigned.
        values = [self._assigned_value(each, state) for each in assignments]
        for each, value in zip(assignments, values, strict=True):
            target = each.child_by_field_name("name")
            if target is None:
                continue
            name = self._source(target)
            if target.type != "variable_name":
                self._forget(state, {name.partition("[")[0]})
                continue
            new = value
            if self._adds(each):
                new = more(state.known.get(name, Unknown(f"${name}")), value)
                size = {"words": len(new)} if isinstance(new, list) else {"characters": len(str(new))}
                new = new if self._effort.takes(**size) else Unknown(f"${name}")
            if not self._is_never_known(name):
                state.known[name] = new

    def _assigned_value(self, assignment: Node, state: _State) -> Value | list[Word]:
        value = assignment.child_by_field_name("value")
        if value is None:
            return ""
        return self._array(value, state) if value.type == "array" else self._value(value, state)

    def _array(self, node: Node, state: _State) -> Value | list[Word]:
        """The elements of `(a "$b" "${c[@]}")`."""
        elements: list[Word] = []
        end = -1
        for child in node.named_children:
            self._append(elements, child, end, state)
            end = child.end_byte
            if len(elements) > MAX_ELEMENTS:
                return Unknown(self._shown(node))
        return elements

    def _assigned_in(self, node: Node) -> Names:
        """The variables that something in the node may assign."""
        if not self._effort.takes(steps=2 * node.descendant_count):
            return None
        called = [self._assigned_by_function(name) for name in self._called_in(node)]
        if not self._effort.takes(steps=sum(len(names or ()) for names in called)):
            return None
        return together((self._directly_in(node), *called))

    def _directly_in(self, node: Node) -> Names:
        return together(self._targets(each) for each in self._all(node, *_TARGETED))

    def _called_in(self, node: Node) -> set[str]:
        """The functions of the script that are called in the node."""
        commands = (self._command_words(each, _State()) for each in self._all(node, "command"))
        names = {words[0].value for words in commands if words}
        return {name for name in names if isinstance(name, str) and name in self._functions}

    @cached_property
    def _every_name(self) -> Names:
        return self._directly_in(self._root)

    def _targets(self, node: Node) -> Names:
        """The variables that the node itself may assign, whatever they hold; not what a function does that it calls."""
        if node.id not in self._targets_of:
            self._targets_of[node.id] = self._targets_now(node)
        return self._targets_of[node.id]

    def _targets_now(self, node: Node) -> Names:
        match node.type:
            case "command":
                words = self._command_words(node, _State())
                calls = words and words[0].value in self._functions
                return set() if calls else self._assigned_by_command(node, words)
            case "declaration_command" | "unset_command":
                return self._declared(node)
            case "expansion":
                found = _EXPANSION_ASSIGNS.match(self._raw, node.start_byte, node.end_byte)
                return {found[1].decode("utf-8", "replace")} if found is not None else set()
            case "variable_assignment" | "for_statement":
                target = node.child_by_field_name("name" if node.type == "variable_assignment" else "variable")
                return {self._source(target).partition("[")[0]} if target is not None else set()
        if not self._is_arithmetic(node):
            return set()
        body = node.child_by_field_name("body")
        end = body.start_byte if body is not None else node.end_byte
        source = self._raw[node.start_byte : end].decode("utf-8", "replace")
        return set(_NAME.findall(source)) if _ARITHMETIC_ASSIGNS.search(source) else set()

    def _is_arithmetic(self, node: Node) -> bool:
        """Whether it is one of `((a))`, `$((a))` and `for ((a; b; c))`, not `{ a; }`."""
        return node.type != "compound_statement" or self._raw[node.start_byte : node.start_byte + 2] == b"(("

    def _declared(self, node: Node) -> Names:
        """What `declare` or `unset` names beside its assignments, as far as it does not hold what it held."""
        found: set[str] = set()
        hides = node.type == "unset_command" or self._keyword(node) in HIDING
        for child in node.named_children:
            source = self._source(child)
            if child.type == "variable_assignment" or (child.type == "word" and source[:1] in ("-", "+")):
                continue
            if child.type == "variable_name":
                found |= {source} if hides else set()
                continue
            name = _ASSIGNED_NAME.fullmatch(source)
            if name is None:
                return None
            found.add(name[1])
        return found

    def _keyword(self, node: Node) -> str:
        return self._source(node.children[0]) if node.children else ""

    def _shadowed(self) -> Names:
        """The variables that other names stand for, or whose values are not what is assigned, anywhere."""
        found: set[str] = set()
        for node in self._all(self._root, "declaration_command"):
            children = [(child, self._source(child)) for child in node.named_children]
            options = [source for child, source in children if child.type == "word" and source[:1] in ("-", "+")]
            if self._keyword(node) not in HIDING or all(map(PLAIN_OPTION.fullmatch, options)):
                continue
            for _, source in children:
                if source in options:
                    continue
                name, _, value = source.strip("\"'").partition("=")
                refers = any("n" in option for option in options)
                if not _NAME.fullmatch(name) or (refers and not _NAME.fullmatch(value.strip("\"'"))):
                    return None
                found |= {name, value.strip("\"'")} if refers else {name}
        return found

    def _changed_unseen(self) -> Names:
        """The variables that something changes without an assignment of theirs."""
        names = changed_unseen(self._text.content)
        called = [self._assigned_by_function(name) for name in (names or set()) & self._functions.keys()]
        in_pipes = self._all(self._root, "pipeline") if "lastpipe" in self._text.content else ()
        return together((names, *called, *(self._directly_in(node) for node in in_pipes)))

    def _kept(self) -> Names:
        """The variables that may stay what they are in spite of an assignment, since something makes them readonly."""
        names = made_readonly(self._text.content)
        once = self._assigned_once() if names else {}
        return {name for name in names if name not in once}

    def _changes_separators(self) -> bool:
        """Whether the script assigns IFS, not only for one command."""
        return any(
            self._source(node).startswith("IFS") and node.parent is not None and node.parent.type != "command"
            for node in self._all(self._root, "variable_assignment")
        )

    def _is_never_known(self, name: str) -> bool:
        return self._never_known is None or name in self._never_known

    def _assigned_by_function(self, name: str) -> Names:
        """The variables that calling a function may assign: those of every function, where it calls others."""
        if name not in self._assigned_by:
            node = self._functions[name]
            wide = bool(self._called_in(node) - {name})
            self._assigned_by[name] = self._every_name if wide else self._directly_in(node)
        return self._assigned_by[name]

    def _assigned_once(self) -> dict[str, int]:
        """The variables that are assigned at one place of the script only, with that place."""
        places: dict[str, list[int]] = {}
        for each in self._all(self._root, *_TARGETED):
            for name in self._targets(each) or ():
                places.setdefault(name, []).append(each.start_byte)
        return {name: found[0] for name, found in places.items() if len(found) == 1}

    def _first_calls(self) -> dict[str, int]:
        """Where each command is called first."""
        found: dict[str, int] = {}
        for call in self._all(self._root, "command_name"):
            found.setdefault(self._source(call), call.start_byte)
        return found

    def _all(self, node: Node, *kinds: str) -> Iterator[Node]:
        cursor = node.walk()
        is_down = True
        depth = 0
        while True:
            if is_down and cursor.node is not None and cursor.node.type in kinds:
                yield cursor.node
            if is_down and cursor.goto_first_child():
                depth += 1
                continue
            if cursor.goto_next_sibling() if depth else False:
                is_down = True
                continue
            if not depth or not cursor.goto_parent():
                return
            depth -= 1
            is_down = False

    def _headline(self, node: Node) -> str:
        """The first line of a statement, for people."""
        return shortened(self._beginning(node).partition("\n")[0].strip())

    def _shown(self, node: Node) -> str:
        return shortened(self._beginning(node))

    def _beginning(self, node: Node) -> str:
        """More of the source than is shown, without reading all of it."""
        end = min(node.end_byte, node.start_byte + 8 * MAX_SHOWN)
        return self._raw[node.start_byte : end].decode("utf-8", "replace")

    def _source(self, node: Node) -> str:
        return self._raw[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _characters(raw: bytes) -> int:
    """How many characters begin in UTF-8."""
    return len(raw.translate(None, _FOLLOWING))


def _characters_before(raw: bytes) -> list[int]:
    """How many characters stand before each block."""
    before = [0]
    for start in range(0, len(raw), _BLOCK):
        before.append(before[-1] + _characters(raw[start : start + _BLOCK]))
    return before
