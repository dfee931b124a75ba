"""What depends on what, and the stages that follow."""

from __future__ import annotations

from tests.templates.builders import CLUSTERS, GROUP, POOLS, cluster, names_by_stage, pool, prepared


def test_resources_are_staged_by_what_they_depend_on() -> None:
    made = prepared(
        [
            pool("c1/a", dependsOn=[f"[resourceId('{CLUSTERS}', 'c1')]"]),
            pool("c1/b", dependsOn=["c1/a", f"{CLUSTERS}/c1"]),
            cluster(),
            cluster("c2"),
        ]
    )
    assert names_by_stage(made) == [["c1", "c2"], ["c1/a"], ["c1/b"]]
    assert [each.id for each in made.resources][:1] == [f"{GROUP}/providers/{CLUSTERS}/c1/agentPools/a"]


def test_what_is_referred_to_by_name_comes_first_and_a_child_does_not_wait_for_its_parent() -> None:
    made = prepared(
        {
            "cluster": cluster(resources=[{"type": "agentPools", "apiVersion": "2025-10-01", "name": "child"}]),
            "np1": pool(properties={"tags": {"fqdn": "[reference('cluster').fqdn]"}}),
        }
    )
    assert names_by_stage(made) == [["c1", "c1/child"], ["c1/np1"]]
    assert made.resources[1].type == POOLS


def test_a_serial_loop_goes_in_batches() -> None:
    loop = {"name": "pools", "count": 5, "mode": "Serial", "batchSize": 2}
    made = prepared([pool("[format('c1/np{0}', copyIndex())]", copy=loop), cluster("last", dependsOn=["pools"])])
    stages = [["c1/np0", "c1/np1"], ["c1/np2", "c1/np3"], ["c1/np4"], ["last"]]
    assert names_by_stage(made) == stages


def test_what_would_be_too_much_at_once_goes_in_several_stages() -> None:
    made = prepared(
        [cluster("[format('c{0}', copyIndex())]", copy={"name": "many", "count": 70}), cluster("x", dependsOn=["many"])]
    )
    assert [len(names) for names in names_by_stage(made)] == [32, 32, 6, 1]


def test_symbolic_names_mean_resources_loops_and_single_copies() -> None:
    made = prepared(
        {
            "pools": pool("[format('c1/np{0}', copyIndex())]", copy={"name": "pools", "count": 2}),
            "after": cluster("all", dependsOn=["pools"]),
            "second": cluster("second", dependsOn=["[format('pools[{0}]', 1)]"]),
        }
    )
    depends = {each.name: [made.resources[place].name for place in each.depends_on] for each in made.resources}
    assert depends["all"] == ["c1/np0", "c1/np1"]
    assert depends["second"] == ["c1/np1"]
