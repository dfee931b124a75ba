"""What is known of the words of a script's commands, and what is not."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.lint.shell import Script
from poolwright.lint.texts import Place, Text
from poolwright.templates.partial import Unknown
from tests.lint.measured import taken


def words(script: str) -> list[list[str | None]]:
    """The words of the commands called az, without that; None for what is unknown."""
    return [
        [None if isinstance(word.value, Unknown) else word.value for word in command.words[1:]]
        for command in Script(Text("f", script)).commands()
        if command.words[0].value == "az"
    ]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=1, max_size=6))
def test_quoted_words_are_what_the_shell_makes_of_them(values: list[str]) -> None:
    assert words(f"az {shlex.join(values)}") == [values]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("A=x\naz $A", ["x"]),
        ("A=x; B=${A}y\naz \"$B z\"", ["xy z"]),
        ("export A='x y'\naz $A", ["x", "y"]),
        ("A='x y'\naz \"$A\"", ["x y"]),
        ("A=x\nA+=y\naz $A", ["xy"]),
        ("A=(x 'y z')\naz \"${A[@]}\"", ["x", "y z"]),
        ("A=(x)\nA+=(y)\naz \"${A[@]}\"", ["x", "y"]),
        ("az a \\\n  b", ["a", "b"]),
        ("az --a=\"x\"'y'z", ["--a=xyz"]),
        ("az a\\ b", ["a b"]),
        ("az \"a\\$b\"", ["a$b"]),
        ("sudo -E az x", ["x"]),
        ("A=y time az x", ["x"]),
        ("if true; then A=x; az $A; fi", ["x"]),
        ("A=x\nf() { az $A; }\nf", ["x"]),
        # What the script may do differently at run time.
        ("az $A", [None]),
        ("az ${A:-x}", [None]),
        ("A=$(date)\naz $A", [None]),
        ("if c; then A=x; fi\naz $A", [None]),
        ("A=x\nif c; then A=y; fi\naz $A", [None]),
        ("A=x\nif c; then :; else A=y; fi\naz $A", [None]),
        ("A=x\ncase $1 in a) A=y;; esac\naz $A", [None]),
        ("A=x\nc && A=y\naz $A", [None]),
        ("for A in x y; do az $A; done", [None]),
        ("A=x\nwhile c; do az $A; A=y; done", [None]),
        ("A=x\nread A\naz $A", [None]),
        ("A=x\nprintf -v A y\naz $A", [None]),
        ("A=x\nsource ./env\naz $A", [None]),
        ("A=x\neval \"$c\"\naz $A", [None]),
        ("A=x\nunset A\naz $A", [None]),
        ("A=x\nf() { A=y; }\nf\naz $A", [None]),
        ("A=x\ng() { A=y; }\nf() { g; }\nf\naz $A", [None]),
        ("f() { az $A; }\nf\nA=x", [None]),
        ("A=x\nwhile IFS= read -r A; do az $A; done < f", [None]),
        ("A=x\nIFS=, read -r A B\naz $A", [None]),
        ("A=x\nif c; then IFS=, read -r A B; fi\naz $A", [None]),
        ("A=x\nif ! read A; then :; else az $A; fi", [None]),
        ("A=x\nif c; then :; elif read A; then :; else az $A; fi", [None]),
        ("A=x\nread \"$name\"\naz $A", [None]),
        ("A=x\nB=1 source ./env\naz $A", [None]),
        ("A=x\nif c; then B=1 source ./env; fi\naz $A", [None]),
        ("f() { A=y; }\nA=x\nB=1 f\naz $A", [None]),
        ("f() { A=y; }\nA=x\nif c; then B=1 f; fi\naz $A", [None]),
        ("f() { B=1 source ./env; }\nA=x\nf\naz $A", [None]),
        ("f() { IFS= read A; }\nA=x\nf\naz $A", [None]),
        ("A=x\n(read A; f)\nf() { az $A; }", [None]),
        ("A=x\nexport \"A=$1\"\naz $A", [None]),
        ("A=x\nif c; then export \"A=$1\"; fi\naz $A", [None]),
        ("A=x\nexport $(xargs < .env)\naz $A", [None]),
        ("A=x\nbuiltin export A=y\naz $A", [None]),
        ("A=x\ndeclare -n b=A\nb=y\naz $A", [None]),
        ("f() { local -n b=$1; b=y; }\nA=x\nf A\naz $A", [None]),
        ("declare -u A=x\naz $A", [None]),
        ("A=x\nf() { local A; az $A; }\nf", [None]),
        ("A=x\nbuiltin printf -v A y\naz $A", [None]),
        ("A=x\nif c; then builtin printf -v A y; fi\naz $A", [None]),
        ("A=x\nprintf -vA y\naz $A", [None]),
        ("A=x\nprintf -v \"$b\" y\naz $A", [None]),
        ("A=x &\naz $A", [None]),
        ("{ A=x; } &\naz $A", [None]),
        ("case $1 in a) A=x;& b) az $A;; esac", [None]),
        ("A=x\ncase $1 in a) A=y;& b) az $A;; esac", [None]),
        ("A=x\ncase $1 in a) A=y;;& b) az $A;; esac", [None]),
        ("A=1\n((A=3))\naz $A", [None]),
        ("A=1\nB=$((A++))\naz $A", [None]),
        ("A=\n: \"${A:=x}\"\naz \"$A\"", [None]),
        ("A=x\nA=y > f\naz $A", [None]),
        # What only looks as if it did.
        ("A=x\nA=y &\naz $A", ["x"]),
        ("A=x\nexport A\naz $A", ["x"]),
        ("A=x\nexport A=y B=$A\naz $A $B", ["y", "x"]),
        ("A=x\ndeclare A=y A+=$A\naz $A", ["yx"]),
        ("f() { A=x; local A=y B=$A; az $A $B; }", ["y", "x"]),
        ("A=x\nexport -n A\naz $A", ["x"]),
        ("declare -r A=x\naz $A", ["x"]),
        ("A=x\nprintf '%s' A \"$b\"\naz $A", ["x"]),
        ("A=x\nread -p \"$question\" B\naz $A", ["x"]),
        ("A=x\ncase $1 in a) A=y;; b) az $A;; esac", ["x"]),
        ("A=x\nfor ((i=0; i<3; i++)); do az $A; done", ["x"]),
        ("A=x\nB=1 env az $A", ["x"]),
        ("A=x\nwhile IFS= read -r B; do az $A; done < f", ["x"]),
        ("A=(x)\nif c; then A+=(y); fi\naz \"${A[@]}\"", ["x", None]),
        ("A=(x)\nc && A+=(y)\naz ${A[@]}", ["x", None]),
        ("A=(x)\nc && A+=(-a y --b z w)\naz \"${A[@]}\" v", ["x", None, None, "v"]),
        ("A=(x)\nfor b in 1 2; do A+=($b); done\naz \"${A[@]}\"", ["x", None]),
        ("A=(x)\nif c; then A+=(y); A=(z); fi\naz \"${A[@]}\"", [None]),
        ("A=(x)\nf() { A+=(y); }\nif c; then A+=(z); f; fi\naz \"${A[@]}\"", [None]),
        ("A=(x)\nif c; then A+=(y); source ./z; fi\naz \"${A[@]}\"", [None]),
        ("A=(x 'y z')\naz ${A[@]}", ["x", None]),
        ("f() { az $1; }\nf x", [None]),
        ("az *", [None]),
        ("A='*'\naz $A", [None]),
        ("az {a,b}", [None]),
        ("az ~/x", [None]),
        ("az $'a\\n'", [None]),
        ("(A=x); az $A", [None]),
        ('az a "$@"', ["a", None]),
    ],
)  # fmt: skip
def test_a_word_is_known_or_not(script: str, expected: list[str | None]) -> None:
    assert words(script) == [expected]


@pytest.mark.parametrize(
    "script",
    [
        "# az x",
        "cat <<E\naz x\nE",
        "cat <<'E'\naz x\nE\n",
        "echo 'az x'",
        "echo \"az x\"",
        "A='az x'",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_command_is_none(script: str) -> None:
    assert words(script) == []


def test_an_unknown_word_says_whether_it_may_be_several() -> None:
    script = Script(Text("f", 'az "$A" $A "$@" "${B[@]}" "x$A" x$A *.txt'))
    (command,) = script.commands()
    assert [word.may_split for word in command.words[1:]] == [False, True, True, True, False, True, True]


@pytest.mark.parametrize("test", ["[ -e / ]", "[[ -e / ]]", '[ "$x" = / ]', "[ -d /  ]", "[ ! -d / ]"])
def test_the_root_folder_in_a_test_is_a_word(test: str) -> None:
    script = Script(Text("f", f"A=y\n{test} && A=x\naz / $A\nif {test}; then az two; fi"))
    assert [[word.value for word in command.words[1:]] for command in script.commands()] == [
        ["/", Unknown("$A")],
        ["two"],
    ]
    assert script.first_error() is None


def test_a_script_that_breaks_off_is_read_up_to_there() -> None:
    script = Script(Text("f", "az one\nif x; then\n  az two\n"))
    assert script.first_error() is not None
    assert words("az one\nif x; then\n  az two\n")[0] == ["one"]


def test_values_that_double_do_not_fill_the_memory() -> None:
    text = "A=1\n" + 'A="$A$A$A$A"\n' * 200 + "az $A"
    array = "A=(1)\n" + 'A=("${A[@]}" "${A[@]}")\n' * 200 + 'az "${A[@]}"'
    assert words(text) == [[None]]
    assert {value for command in words(array) for value in command} == {None}


# Each below 4 KiB, or of a few dozen, unless it says otherwise.
DOUBLED = "A='xxxxxxxx x'\n" + 'A="$A$A$A$A"\n' * 6
HUNGRY = {
    "a pattern that takes the cube of the time": "A='{,,,,,,,,'\n" + "A=$A$A$A$A\n" * 6 + 'az "$A" $A\n',
    "a value that splits into many words, many times": DOUBLED + "az" + " $A" * 1_200 + "\n",
    "an array, many times": "A=(1)\n" + 'A=("${A[@]}" "${A[@]}")\n' * 12 + "az" + ' "${A[@]}"' * 380 + "\n",
    "many long values": DOUBLED + "".join(f"b{n}=$A.\n" for n in range(380)),
    "many more long values (200 KB)": DOUBLED + "".join(f"b{n}=$A.\n" for n in range(20_000)),
    "a value that grows by a little (100 KB)": "A=\n" + "A+=xxxxxxxxx\n" * 8_000,
    "many variables and conditions (300 KB)": "".join(f"b{n}=1\n" for n in range(10_000))
    + "if c; then x; fi\n" * 10_000,
    "many variables of a function, often called (400 KB)": "f() {\n"
    + "".join(f"b{n}=1\n" for n in range(20_000))
    + "}\n"
    + "f\n" * 50_000,
    "substitutions in one another (100 KB)": 'az "$(a ' * 12_000 + ')"' * 12_000,
    "no ASCII (200 KB)": "az é $A\n" * 20_000,
}


@pytest.mark.parametrize("kind", list(HUNGRY))
def test_no_script_takes_more_than_a_few_seconds_and_megabytes(kind: str) -> None:
    seconds, megabytes = taken(HUNGRY[kind], "az_commands.read_script")
    is_short = len(HUNGRY[kind]) < 5_000
    assert seconds < (2 if is_short else 8)
    assert megabytes < (60 if is_short else 250)


def test_once_variables_took_too_much_they_are_unknown_by_name() -> None:
    script = Script(Text("f", "B=y\naz $B x\n" + DOUBLED + "az" + " $A" * 1_200 + "\naz $B x\n"))
    first, *_, last = script.commands()
    assert [word.value for word in first.words] == ["az", "y", "x"]
    assert [word.value for word in last.words] == ["az", Unknown("$B"), "x"]
    assert script.spent_at() == Place("f", 10, 1)


def test_a_long_script_of_the_usual_kind_takes_little_of_the_effort() -> None:
    part = 'if [ -n "$X" ]; then\n  A=Standard_D4s_v5\n  az aks nodepool add -n "p$N" -s "$A" --labels a="$L"\nfi\n'
    script = Script(Text("f", "L=one\nN=1\n" + part * 1_000))
    assert len(list(script.commands())) == 1_000
    assert script.spent_at() is None


@given(st.text(st.sampled_from("az ks$(){}[]\"'`;|&<>\\\n=*#!"), max_size=80))
def test_no_text_breaks_the_reading(script: str) -> None:
    read = Script(Text("f", script))
    list(read.commands())
    read.first_error()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("A=`date # today`\naz x $A", ["x", None]),
        ("A=`date; # to (day`\naz x", ["x"]),
        ("A=`#`\naz x", ["x"]),
        ("az x `# its size` \\\n  y `#` \\\n  z", ["x", "y", "z"]),
        ("A=`date # ä`\naz x ä", ["x", "ä"]),
    ],
)
def test_a_comment_in_backticks_ends_with_them(script: str, expected: list[str | None]) -> None:
    read = Script(Text("f", script))
    assert words(script) == [expected]
    assert read.first_error() is None
    (place,) = (command.place for command in read.commands() if command.words[0].value == "az")
    assert script.splitlines()[place.line - 1][place.column - 1 :].startswith("az x")


def test_backticks_in_quotes_and_comments_hold_no_comments() -> None:
    script = "A=`date # today`\necho 'a ` b' # `c` az x\n# a ` b # c ` az y\naz 'z ` # ` z'"
    assert words(script) == [["z ` # ` z"]]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("az -s A`date`y z", ["-s", None, "z"]),
        ('az a"b"`date`y', [None]),
        ("az 'a'`date`\"y\"", [None]),
        ('A=(x`date`y z)\naz "${A[@]}"', [None, "z"]),
    ],
)
def test_a_word_with_backticks_in_it_is_unknown_as_a_whole(script: str, expected: list[str | None]) -> None:
    assert words(script) == [expected]
