"""The image store: what it finds, and what a kill, a second process or a damaged index do to it."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poolwright.domain.generation import Generation
from poolwright.machines.images import store as store_module
from poolwright.machines.images.store import DiskImage, ImageInUse, ImageStore, Origin, StoreDamaged

GEN1, GEN2 = frozenset({Generation.V1}), frozenset({Generation.V2})
NOBODY: Callable[[], set[str]] = set


def put(store: ImageStore, content: bytes, **known: Any) -> DiskImage:
    stated: dict[str, Any] = {
        "virtual_bytes": 64,
        "generations": GEN1,
        "secure_boot": None,
        "origin": Origin.STAND_IN,
        "form": "gen1" if "definition" not in known else None,
    }
    with store.work_directory() as work:
        file = work / "disk"
        file.write_bytes(content)
        return store.add(file, **{**stated, **known})


def imported(
    store: ImageStore, content: bytes, definition: str, generations: frozenset[Generation] = GEN1
) -> DiskImage:
    return put(store, content, origin=Origin.IMPORTED, definition=definition, generations=generations)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def files(store_directory: Path) -> set[str]:
    return {str(path.relative_to(store_directory)) for path in store_directory.rglob("*") if path.is_file()}


def test_an_image_lies_under_the_digest_of_its_bytes_and_is_known_to_the_next_process(
    store: ImageStore, tmp_path: Path
) -> None:
    image = put(store, b"disk", has_agent=True, source=("busybox-static 1", "recipe x"), secure_boot=False)

    assert image.digest == hashlib.sha256(b"disk").hexdigest()
    assert image.path == tmp_path / "images" / f"sha256-{image.digest}.qcow2"
    assert image.path.read_bytes() == b"disk"
    assert ImageStore(tmp_path / "images").list() == [image]


def test_a_store_that_was_never_used_is_empty_and_stays_unmade(store: ImageStore, tmp_path: Path) -> None:
    assert store.list() == []
    assert store.find("2204containerd", Generation.V1) is None
    assert not (tmp_path / "images").exists()


def test_what_was_imported_comes_before_the_stand_in_and_the_newest_import_first(store: ImageStore) -> None:
    stand_in = put(store, b"own")
    assert store.find("2204containerd", Generation.V1) == stand_in
    imported(store, b"old", "2204containerd")
    new = imported(store, b"new", "2204containerd")

    assert store.find("2204containerd", Generation.V1) == new
    assert store.find("2404containerd", Generation.V1) == stand_in
    assert store.find("2204gen2containerd", Generation.V2) is None


def test_no_stand_in_is_found_for_windows_but_one_can_be_asked_for(store: ImageStore) -> None:
    stand_in = put(store, b"own")

    assert store.find("windows-2022-containerd", Generation.V1) is None
    assert store.stand_in(Generation.V1) == stand_in
    windows = imported(store, b"windows", "windows-2022-containerd")
    assert store.find("windows-2022-containerd", Generation.V1) == windows


def test_an_import_is_found_only_for_a_generation_it_boots(store: ImageStore) -> None:
    imported(store, b"disk", "windows-2022-containerd", GEN1)

    assert store.find("windows-2022-containerd", Generation.V2) is None


def test_a_stand_in_of_one_generation_comes_before_a_hybrid_and_the_unsigned_one_is_never_chosen(
    store: ImageStore,
) -> None:
    put(store, b"unsigned", form="unsigned", generations=GEN2, secure_boot=False)
    assert store.stand_in(Generation.V2) is None
    hybrid = put(store, b"hybrid", form="hybrid", generations=GEN1 | GEN2, secure_boot=True)
    assert store.stand_in(Generation.V2) == store.stand_in(Generation.V1) == hybrid
    put(store, b"older", form="gen2", generations=GEN2, secure_boot=True)
    newest = put(store, b"newer", form="gen2", generations=GEN2, secure_boot=True)
    put(store, b"hybrid 2", form="hybrid", generations=GEN1 | GEN2, secure_boot=True)

    assert store.stand_in(Generation.V2) == newest


def test_one_disk_can_stand_for_two_definitions_and_goes_with_the_last(store: ImageStore) -> None:
    first = imported(store, b"disk", "2204containerd")
    second = imported(store, b"disk", "2404containerd")
    assert first.path == second.path
    imported(store, b"disk", "2404containerd")
    assert len(store.list()) == 2

    store.remove("2204containerd", NOBODY)
    assert store.list() == [second]
    assert second.path.read_bytes() == b"disk"
    store.remove("2404containerd", NOBODY)
    assert not second.path.exists()


def test_an_image_is_named_by_digest_its_beginning_definition_or_form(store: ImageStore) -> None:
    own, other = put(store, b"own"), imported(store, b"other", "2204containerd")

    for reference in (own.digest, own.digest[:6], f"sha256-{own.digest}", f"sha256:{own.digest.upper()}", "gen1"):
        assert store.show(reference) == own
    assert store.show("2204containerd") == other
    for reference in ("", own.digest[:5], "2404containerd", "f" * 64):
        with pytest.raises(LookupError, match="images list"):
            store.show(reference)
    imported(store, b"third", "2204containerd")
    with pytest.raises(ValueError, match=rf"several images: {other.digest[:12]} \(2204containerd\), "):
        store.show("2204containerd")


def test_an_image_in_use_is_not_removed(store: ImageStore) -> None:
    image = put(store, b"own")

    with pytest.raises(ImageInUse, match="delete the machines"):
        store.remove("gen1", lambda: {image.digest})
    assert store.list() == [image]
    assert store.remove("gen1", lambda: {"another"}) == image
    assert store.list() == []
    assert not image.path.exists()


def test_an_image_whose_file_somebody_took_away_is_not_listed_and_can_be_added_again(store: ImageStore) -> None:
    put(store, b"own").path.unlink()

    assert store.list() == []
    assert store.find("2204containerd", Generation.V1) is None
    again = put(store, b"own")
    assert store.list() == [again]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0",
        b"[]",
        b'{"version": 2, "images": []}',
        b'{"version": 1, "images": [{}]}',
        b'{"version": 1, "images": [{"digest": "../../etc/passwd"}]}',
        b'{"version": 1, "images": 3}',
    ],
)
def test_a_damaged_index_is_said_and_nothing_is_deleted_by_it(
    store: ImageStore, tmp_path: Path, content: bytes
) -> None:
    image = put(store, b"own")
    (tmp_path / "images" / "index.json").write_bytes(content)

    with pytest.raises(StoreDamaged, match=r"index\.json is damaged"):
        store.list()
    with pytest.raises(StoreDamaged):
        put(store, b"another")
    with pytest.raises(StoreDamaged):
        store.remove("gen1", NOBODY)
    assert image.path.read_bytes() == b"own"
    assert (tmp_path / "images" / "index.json").read_bytes() == content


def test_a_work_directory_is_gone_afterwards_also_after_an_error(store: ImageStore, tmp_path: Path) -> None:
    def interrupted() -> None:
        with store.work_directory() as work:
            (work / "part").write_bytes(b"1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files(tmp_path / "images") == {"lock"}


def killed_at(directory: Path, place: str) -> None:
    """Add an image in a process that kills itself when it comes to a call of `os`: before it or after it."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from poolwright.domain.generation import Generation\n"
        "from poolwright.machines.images.store import ImageStore, Origin\n"
        "directory, name, count, when = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]\n"
        "real, seen = getattr(os, name), 0\n"
        "def call(*arguments, **named):\n"
        "    global seen\n"
        "    seen += 1\n"
        "    if seen == count and when == 'before': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    result = real(*arguments, **named)\n"
        "    if seen == count: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return result\n"
        "setattr(os, name, call)\n"
        "store = ImageStore(directory)\n"
        "with store.work_directory() as work:\n"
        "    (work / 'disk').write_bytes(b'killed')\n"
        "    store.add(work / 'disk', virtual_bytes=1, generations=frozenset({Generation.V1}), secure_boot=None,\n"
        "              origin=Origin.STAND_IN, form='gen1')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(directory), *place.split()], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, place


@pytest.mark.parametrize("call", ["replace 1", "replace 2", "fsync 1", "fsync 2", "fsync 3", "fsync 4"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_an_image_is_added_loses_no_other_and_leaves_nothing(
    store: ImageStore, tmp_path: Path, call: str, when: str
) -> None:
    directory = tmp_path / "images"
    old = put(store, b"old")

    killed_at(directory, f"{call} {when}")

    known = store.list()
    assert old in known
    for image in known:
        assert hashlib.sha256(image.path.read_bytes()).hexdigest() == image.digest
    new = put(store, b"new")
    kept = {f"sha256-{image.digest}.qcow2" for image in (*known, new)}
    assert files(directory) == kept | {"lock", "index.json"}


def test_the_work_of_a_killed_process_is_removed_and_that_of_a_living_one_is_not(
    store: ImageStore, tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from poolwright.machines.images.store import ImageStore\n"
        "with ImageStore(Path(sys.argv[1])).work_directory() as work:\n"
        "    (work / 'half').write_bytes(b'1')\n"
        "    print(work, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "images")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        work = Path(process.stdout.readline().strip())
        put(store, b"own")
        assert (work / "half").exists()
        process.kill()
        process.wait(30)
    assert (work / "half").exists()
    put(store, b"another")
    assert not work.exists()
    assert not any("work" in name for name in files(tmp_path / "images"))


def _add_some(directory: Path, name: str) -> None:
    store = ImageStore(directory)
    for number in range(10):
        put(store, f"{name} {number}".encode(), form=f"{name}{number}")


def test_processes_that_add_at_the_same_time_lose_nothing_of_each_other(store: ImageStore, tmp_path: Path) -> None:
    # Fresh interpreters: the test process has threads by now, and a fork would copy their locks.
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_some, args=(tmp_path / "images", name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0

    assert {image.form for image in store.list()} == {f"{name}{number}" for name in "abc" for number in range(10)}
    assert len(list((tmp_path / "images").glob("sha256-*"))) == 30


def test_one_builder_works_at_a_time_and_the_other_hears_of_it(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_POLL_SECONDS", 0.01)
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        with store.only_builder(waits.set):
            order.append("second")

    with store.only_builder(lambda: order.append("never")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]


def test_images_cannot_be_written_to_by_accident(store: ImageStore) -> None:
    assert put(store, b"own").path.stat().st_mode & 0o777 == 0o444


def test_the_index_says_what_it_means(store: ImageStore, tmp_path: Path) -> None:
    imported(store, b"disk", "2204gen2containerd", GEN2)

    (entry,) = json.loads((tmp_path / "images" / "index.json").read_text())["images"]
    assert entry == {
        "digest": hashlib.sha256(b"disk").hexdigest(),
        "virtualBytes": 64,
        "generations": ["V2"],
        "secureBoot": None,
        "origin": "imported",
        "definition": "2204gen2containerd",
        "form": None,
        "hasAgent": False,
        "cloudInit": False,
        "source": [],
    }


def test_an_image_from_before_cloud_init_has_none(store: ImageStore, tmp_path: Path) -> None:
    put(store, b"disk", cloud_init=True)
    index = tmp_path / "images" / "index.json"
    content = json.loads(index.read_text())
    assert [image.cloud_init for image in store.list()] == [True]
    del content["images"][0]["cloudInit"]
    index.write_text(json.dumps(content))

    assert [image.cloud_init for image in store.list()] == [False]
