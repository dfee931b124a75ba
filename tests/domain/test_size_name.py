"""Names of VM sizes: the published grammar, the older names, and the sizes that come near a wanted one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from poolwright.domain.generation import Generation
from poolwright.domain.size_name import SizeName, alternatives, available_vcpus, nearest_names
from poolwright.domain.vm_size import Architecture, ConfidentialComputing, VmSize

ROOT = Path(__file__).parents[2]


def _table(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


SIZE_ROWS = list(_table(ROOT / "src/poolwright/catalog/vm-sizes.csv"))
GOLDEN_ROWS = list(_table(Path(__file__).with_name("alternatives.csv")))


def _size(row: dict[str, str]) -> VmSize:
    confidential = row["confidential_computing_type"]
    return VmSize(
        name=row["name"],
        family=row["family"],
        tier=row["tier"],
        vcpus=int(row["vcpus"]),
        memory_gb=float(row["memory_gb"]),
        generations=Generation.parse_set(row["hyperv_generations"]),
        architecture=Architecture(row["cpu_architecture"]),
        confidential=ConfidentialComputing(confidential) if confidential else None,
        gpus=int(row["gpus"]),
    )


SIZES = {row["name"]: _size(row) for row in SIZE_ROWS if row["vcpus"] and row["hyperv_generations"]}


def meets(size: VmSize, need: str) -> bool:
    """Whether the size has what the column `need` of the reviewed table names."""
    return not size.is_arm64 if need == "x64" else size.supports(Generation.parse(need))


def names(sizes: tuple[VmSize, ...]) -> list[str]:
    return [size.name for size in sizes]


def name(text: str, **parts: object) -> tuple[str, SizeName]:
    plain = SizeName(
        tier="Standard",
        family="D",
        sub_family="",
        number=2,
        constrained_vcpus=None,
        letters="",
        accelerator=None,
        variant=None,
        memory_tb=None,
        version=1,
        is_promo=False,
    )
    return text, replace(plain, **parts)  # type: ignore[arg-type]  # each case names fields with their types


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        name("Standard_D2_v3", version=3),
        name("Standard_DS2_v2", letters="s", version=2),
        name("Standard_DS3_v2_Promo", number=3, letters="s", version=2, is_promo=True),
        name("Standard_DS13-4_v2", number=13, constrained_vcpus=4, letters="s", version=2),
        name("Standard_GS5-16", family="G", number=5, constrained_vcpus=16, letters="s"),
        name("Standard_M8-2ms", family="M", number=8, constrained_vcpus=2, letters="ms"),
        name("Standard_M416s_10_v2", family="M", number=416, letters="s", memory_tb=10, version=2),
        name("Standard_NC24ads_A100_v4", family="N", sub_family="C", number=24, letters="ads",
             accelerator="A100", version=4),
        name("Standard_E96-24ads_v5", family="E", number=96, constrained_vcpus=24, letters="ads", version=5),
        name("Standard_DC2s_v2", sub_family="C", letters="s", version=2),
        name("Standard_DC16ads_cc_v5", sub_family="C", number=16, letters="ads", variant="CC", version=5),
        name("Standard_EC96iads_v5", family="E", sub_family="C", number=96, letters="iads", version=5),
        name("Standard_NP10s", family="N", sub_family="P", number=10, letters="s"),
        name("Standard_D4ads_v6", number=4, letters="ads", version=6),
        name("Standard_L8s_v3", family="L", number=8, letters="s", version=3),
        name("Basic_A0", tier="Basic", family="A", number=0),
        name("Standard_HB176-48rs_v4", family="H", sub_family="B", number=176, constrained_vcpus=48,
             letters="rs", version=4),
        name("Standard_ND96isr_H100_v5", family="N", sub_family="D", number=96, letters="isr",
             accelerator="H100", version=5),
        name("Standard_ND128isr_NDR_GB200_v6", family="N", sub_family="D", number=128, letters="isr",
             accelerator="GB200", variant="NDR", version=6),
        name("Standard_NV36adms_A10_v5", family="N", sub_family="V", number=36, letters="adms",
             accelerator="A10", version=5),
        name("Standard_NG8ads_V620_v1", family="N", sub_family="G", number=8, letters="ads",
             accelerator="V620", version=1),
        name("Standard_NCC40ads_H100_v5", family="N", sub_family="CC", number=40, letters="ads",
             accelerator="H100", version=5),
        name("Standard_B2ms", family="B", letters="ms"),
        name("Standard_F2s_v2", family="F", letters="s", version=2),
        name("Standard_FX48-12mds_v2", family="F", sub_family="X", number=48, constrained_vcpus=12,
             letters="mds", version=2),
        name("standard_nc24ads_a100_V4", family="N", sub_family="C", number=24, letters="ads",
             accelerator="A100", version=4),
    ],
)  # fmt: skip
def test_a_name_is_taken_apart(text: str, expected: SizeName) -> None:
    assert SizeName.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "D2s_v3",
        "Standard_D2s_v3 ",
        "Standard_D",
        "Standard_2s_v3",
        "Premium_D2s_v3",
        "Standard_D2s-v3",
        "Standard_NC24ads_A100_H100_v4",
        "Standard_M416s_10_12_v2",
    ],
)
def test_a_text_outside_the_grammar_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of a VM size") as refusal:
        SizeName.parse(text)
    assert repr(text) in str(refusal.value)


def test_every_name_of_the_catalogue_is_within_the_grammar() -> None:
    assert len(SIZE_ROWS) == 1570
    for row in SIZE_ROWS:
        assert SizeName.parse(row["name"]).tier == row["tier"]


def test_the_number_is_the_count_of_vcpus_except_in_older_names() -> None:
    for size in SIZES.values():
        parsed = SizeName.parse(size.name)
        if parsed.vcpus is None:
            assert parsed.series in {"A", "D", "G"}
            assert parsed.version <= 2
        else:
            assert parsed.vcpus == size.vcpus, size.name


def test_the_letters_of_a_name_agree_with_its_architecture() -> None:
    for size in SIZES.values():
        assert ("p" in SizeName.parse(size.name).letters) is size.is_arm64, size.name


@pytest.mark.parametrize(
    ("size_name", "vcpus"),
    [("Standard_D4s_v5", 4), ("Standard_M8-2ms", 2), ("Standard_DS14-4_v2", 4), ("Standard_D5_v2", 16)],
)
def test_a_constrained_size_gets_the_vcpus_after_the_hyphen(size_name: str, vcpus: int) -> None:
    assert available_vcpus(SIZES[size_name]) == vcpus


def test_a_size_with_a_name_outside_the_grammar_gets_the_vcpus_it_lists() -> None:
    assert available_vcpus(replace(SIZES["Standard_D4s_v5"], name="Contoso-4")) == 4


@pytest.mark.parametrize("row", GOLDEN_ROWS, ids=lambda row: f"{row['wanted']}-{row['need']}")
def test_the_alternatives_are_those_of_the_reviewed_table(row: dict[str, str]) -> None:
    candidates = [size for size in SIZES.values() if meets(size, row["need"])]
    expected = [row[f"expected{place}"] for place in range(1, 6) if row[f"expected{place}"]]
    assert names(alternatives(SIZES[row["wanted"]], candidates)) == expected


def test_the_reviewed_table_covers_every_kind_of_size() -> None:
    wanted = [(SIZES[row["wanted"]], row["need"]) for row in GOLDEN_ROWS]
    assert len(wanted) >= 30
    assert any(size.generations == {Generation.V1} and need == "V2" for size, need in wanted)
    assert any(size.generations == {Generation.V2} and need == "V1" for size, need in wanted)
    assert any(size.is_arm64 for size, _ in wanted)
    assert any(size.is_confidential for size, _ in wanted)
    assert any(size.gpus for size, _ in wanted)
    assert any(available_vcpus(size) != size.vcpus for size, _ in wanted)
    assert {"M", "B"} <= {SizeName.parse(size.name).series for size, _ in wanted}


def test_amd_comes_after_the_vendor_of_the_wanted_size() -> None:
    candidates = [SIZES[one] for one in ("Standard_D2as_v4", "Standard_D2s_v6", "Standard_D2ps_v5")]
    assert names(alternatives(SIZES["Standard_D2_v3"], candidates)) == [
        "Standard_D2s_v6",
        "Standard_D2as_v4",
        "Standard_D2ps_v5",
    ]
    candidates = [SIZES[one] for one in ("Standard_D4s_v5", "Standard_D4as_v4")]
    proposed = names(alternatives(SIZES["Standard_D4as_v5"], candidates))
    assert proposed == ["Standard_D4as_v4", "Standard_D4s_v5"]


def test_a_size_that_keeps_the_local_disk_comes_before_one_that_keeps_the_vendor() -> None:
    candidates = [SIZES[one] for one in ("Standard_D4s_v5", "Standard_D4ads_v5")]
    proposed = names(alternatives(SIZES["Standard_D4ds_v5"], candidates))
    assert proposed == ["Standard_D4ads_v5", "Standard_D4s_v5"]


def test_a_size_with_slightly_less_memory_comes_after_one_with_slightly_more() -> None:
    candidates = [SIZES[one] for one in ("Standard_DS3_v2", "Standard_D4s_v3")]
    assert names(alternatives(SIZES["Standard_D4_v3"], candidates)) == ["Standard_D4s_v3", "Standard_DS3_v2"]


def test_no_confidential_size_is_proposed_for_a_plain_one_nor_the_reverse() -> None:
    for wanted in (SIZES["Standard_DC2s_v3"], SIZES["Standard_DC4as_v5"], SIZES["Standard_DC4es_v6"]):
        proposed = alternatives(wanted, SIZES.values(), limit=len(SIZES))
        assert proposed
        assert {size.confidential for size in proposed} == {wanted.confidential}


def test_plain_d_and_e_sizes_are_never_answered_with_confidential_series() -> None:
    for wanted in ("Standard_D2_v3", "Standard_E4_v3"):
        proposed = alternatives(SIZES[wanted], SIZES.values(), limit=len(SIZES))
        assert not {"DC", "EC"} & {SizeName.parse(size.name).series for size in proposed}


def test_a_size_never_proposes_itself_nor_a_promotional_one() -> None:
    proposed = names(alternatives(SIZES["Standard_DS3_v2"], SIZES.values(), limit=len(SIZES)))
    assert "Standard_DS3_v2" not in proposed
    assert "Standard_DS3_v2_Promo" not in proposed
    assert "Standard_DS3" in proposed


def test_a_series_without_relatives_has_no_alternatives() -> None:
    assert alternatives(SIZES["Standard_PB6s"], SIZES.values()) == ()


def test_the_limit_is_kept() -> None:
    assert len(alternatives(SIZES["Standard_D2_v3"], SIZES.values(), limit=2)) == 2


def test_names_outside_the_grammar_are_neither_proposed_nor_answered() -> None:
    odd = replace(SIZES["Standard_D2s_v3"], name="Contoso-D2")
    assert alternatives(odd, SIZES.values()) == ()
    assert alternatives(SIZES["Standard_D2_v3"], [odd]) == ()
    assert nearest_names("Contoso-D2", [odd]) == ()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Standard_D4s_v55", "Standard_D4s_v5"),
        ("Standard_DS2_v3", "Standard_D2s_v3"),
        ("D4s_v5", "Standard_D4s_v5"),
        ("Standrd_D4s_v5", "Standard_D4s_v5"),
        ("standard_d4_s_v5", "Standard_D4s_v5"),
        ("Standard_D6s_v3", "Standard_D8s_v3"),
        ("Standard_D2sd_v5", "Standard_D2ds_v5"),
        ("Standard_NC24ads_A1000_v4", "Standard_NC24ads_A100_v4"),
        ("Standard_Q4s_v5", "Standard_D4s_v5"),
        ("Basic_A5", "Basic_A4"),
        ("A1_v3", "Standard_A1_v2"),
    ],
)
def test_a_misspelt_name_finds_the_one_that_was_meant(written: str, meant: str) -> None:
    assert meant in names(nearest_names(written, SIZES.values()))[:2]


def test_the_nearest_name_of_a_slip_in_the_version_is_the_first() -> None:
    assert names(nearest_names("Standard_D4s_v55", SIZES.values(), limit=1)) == ["Standard_D4s_v5"]
    assert names(nearest_names("Standard_DS2_v3", SIZES.values(), limit=1)) == ["Standard_D2s_v3"]


def test_a_misspelt_name_is_looked_for_among_sizes_of_its_accelerator_first() -> None:
    nearest = names(nearest_names("Standard_NC20ads_A100_v4", SIZES.values(), limit=2))
    assert nearest == ["Standard_NC24ads_A100_v4", "Standard_NC48ads_A100_v4"]


def test_a_misspelt_constrained_name_finds_a_constrained_size() -> None:
    assert names(nearest_names("Standard_E16-8d_v5", SIZES.values(), limit=1)) == ["Standard_E16-8ds_v5"]


def test_a_misspelt_name_finds_no_promotional_size() -> None:
    nearest = names(nearest_names("Standard_DS3_v2_Prom", SIZES.values()))
    assert nearest[0] == "Standard_DS3_v2"
    assert not [one for one in nearest if "Promo" in one]


@pytest.mark.parametrize("text", ["", "rubbish", "Standard_", "x" * 100_000, "Standard_D2" + "_a" * 50_000])
def test_a_text_near_no_name_finds_none(text: str) -> None:
    assert nearest_names(text, SIZES.values()) == ()
