"""What changes a variable unseen makes it unknown, and what another shell is given to read is told."""

from __future__ import annotations

import pytest

from poolwright.lint.arm_templates import Given
from poolwright.lint.az_commands import read_script
from poolwright.lint.pools import FoundPool
from poolwright.lint.shell_changes import changed_unseen
from poolwright.lint.texts import Text
from poolwright.templates.partial import Unknown

ADD = "az aks nodepool add -g g --cluster-name c -n p -s"


def pools_of(script: str) -> list[FoundPool]:
    """The node pools of a script."""
    return read_script(Text("f", script), Given())[0].pools


@pytest.mark.parametrize(
    "line",
    [
        "shopt -s lastpipe; echo Standard_D4s_v6 | read S",
        "trap 'S=Standard_D4s_v6' DEBUG",
        "change() { S=Standard_D4s_v6; }; trap change ERR EXIT",
        'trap "$WHAT" DEBUG',
        "trap 'source x' USR1",
        "time S=Standard_D4s_v6",
        "time -p A=b S=Standard_D4s_v6",
        "coproc S { sleep 0; }",
        "exec {S}>/dev/null",
        'shopt -s expand_aliases; alias S2="S=Standard_D4s_v6"\nS2',
        "[[ S=4 -gt 3 ]]",
        "[[ 3 -lt S++ ]]",
        "echo ${a[S=4]}",
        "echo ${a:S=1:2}",
        "[ $((S++)) ]",
        "[[ $((S=3)) ]]",
        '[ "$((S++))" = 1 ]',
        "echo ${Q:-$((S=3))}",
        'echo "${Q:-x$((S=3))}"',
        "echo x > /dev/null$((S=3))",
        "Q[S=3]=1",
        "Q=([S=3]=1)",
        'printf -v "Q[S=3]" x',
        "[ -v 'Q[S=3]' ]",
        "declare -i Q; Q=S=3",
        "declare -ri Q=S=3",
        "f() { local -x -i Q=S=3; }; f",
        'X="S=3"; echo $((X))',
        'Y="S=3"; X=Y; let X',
        'X="S++"; ((X))',
        "readonly S; S=x",
        "declare -r S\nS=x",
        "f() { readonly S=a; }; f; S=b",
        "read -aS <<< 'b c'",
        "read -raS <<< 'b c'",
        "read -dp S <<< b",
        "sleep 0 & wait -npS",
        '[ "${S:=x}" ]',
        "[[ ${S:=x} ]]",
        "echo > ${S:=x}",
        "set -o posix; S=x :",
        "set -o posix; S=x export T=1",
        "set -o posix; S=x unset T",
    ],
)
def test_what_changes_a_variable_unseen_makes_it_unknown(line: str) -> None:
    pool = pools_of(f'S=Standard_D2_v3\n{line}\n{ADD} "$S"\n')[-1]
    assert pool.properties == {"vmSize": Unknown("$S")}


@pytest.mark.parametrize(
    "line",
    [
        *("trap 'S=x' EXIT", "trap 'rm -f $S' EXIT INT TERM", '[[ "$S" == a && $x -gt 3 ]]', "[[ $S = a ]]"),
        *('echo "${S:-x}" ${x:=4} ${a[0]}', "time sleep 1", "while IFS= read -r line; do :; done"),
        *("S=x true", "readonly S", "i=1; i=$((i + 1))", 'a[1]="S=x"', "read -p S x", "read -rt5 -pS x"),
        *('X="S=3"', "declare -i n=3", "N=$(az foo --query \"[?S=='x']\"); [[ $N -gt 3 ]]", "echo $(($S == 3))"),
    ],
)
def test_what_does_not_change_it_leaves_it_known(line: str) -> None:
    assert pools_of(f'S=Standard_D2_v3\n{line}\n{ADD} "$S"\n')[-1].properties == {"vmSize": "Standard_D2_v3"}


def test_what_bash_changes_itself_is_no_constant() -> None:
    moving = changed_unseen("") or set()
    assert {"RANDOM", "SECONDS", "LINENO", "PWD"} <= moving
    assert pools_of(f'SECONDS=5\n{ADD} x -c "$SECONDS"\n')[-1].properties["count"] == Unknown("$SECONDS")


@pytest.mark.parametrize("assignment", ["IFS=_", "export IFS=_", "if a; then IFS=_; fi"])
def test_with_other_separators_words_without_quotes_are_unknown(assignment: str) -> None:
    script = f"S=Standard_D2_v3\n{assignment}\n{ADD} {{}}\n"
    assert pools_of(script.replace("{}", "$S"))[-1].properties == {"vmSize": Unknown("$S")}
    assert pools_of(script.replace("{}", '"$S"'))[-1].properties == {"vmSize": "Standard_D2_v3"}


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (f"ssh host <<'EOF'\n{ADD} x\nEOF\n", "ssh"),
        (f"bash <<EOF\n{ADD} x\nEOF\n", "bash"),
        (f"sudo -u x bash -s > log <<-EOF\n\t{ADD} x\n\tEOF\n", "bash"),
        (f'bash <<< "{ADD} x"\n', "bash"),
        (f'echo "{ADD} x" | bash\n', "bash"),
        (f"printf '%s' '{ADD} x' | sudo sh -s\n", "sh"),
        (f"cat <<EOF | bash\n{ADD} x\nEOF\n", "bash"),
        (f"(echo '{ADD} x') | tee log | bash\n", "bash"),
        (f'source /dev/stdin <<< "{ADD} x"\n', "source"),
    ],
)
def test_what_another_shell_reads_is_one_node_pool_of_which_nothing_is_known(script: str, name: str) -> None:
    (pool,) = pools_of(script)
    assert pool.properties == {"vmSize": Unknown(f"in a text for {name}")}
    assert pool.open_ended is not None


@pytest.mark.parametrize(
    "script", [f"cat <<EOF > file\n{ADD} x\nEOF\n", f"echo '{ADD} x' | tee file\n", "bash <<EOF\naz aks show\nEOF\n"]
)
def test_what_nobody_runs_is_no_node_pool(script: str) -> None:
    assert pools_of(script) == []


def test_what_is_read_is_not_told_again_where_its_answer_goes_to_a_shell() -> None:
    assert [pool.name for pool in pools_of(f"{ADD} x -o tsv | ssh host cat\n")] == ["p"]


def test_a_function_that_is_named_az_may_do_anything() -> None:
    function = 'az() { command az "$@" --os-type Windows; }\n'
    (pool,) = pools_of(f"{function}{ADD} x\n")
    assert pool.condition == "the function az runs az as it is written"
    assert pool.open_ended is not None
    (pool,) = pools_of(f"{function}command {ADD} x\n")
    assert (pool.condition, pool.open_ended) == (None, None)
