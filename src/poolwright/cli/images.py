"""`poolwright images`: the disk images that real machines boot from.

The commands work on the data directory itself, whether the service runs or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from poolwright.cli import changes, connection, progress
from poolwright.cli.failure import NOT_FOUND, Failure
from poolwright.cli.options import OutputForm, OwnDataDir, Yes, examples
from poolwright.cli.output import Json, Output, print_answer

if TYPE_CHECKING:
    from poolwright.image_keeping import ImageKeeping

app = typer.Typer(no_args_is_help=True, help="The disk images that real machines boot from.")


class Form(StrEnum):
    GEN1 = "gen1"
    GEN2 = "gen2"
    HYBRID = "hybrid"
    UNSIGNED = "unsigned"


Reference = Annotated[
    str, typer.Argument(metavar="IMAGE", help="Digest or its first letters (6 or more), definition, or form.")
]
_MIB: Final = 1024 * 1024
_SECURE_BOOT: Final = {True: "yes", False: "refused", None: "unknown"}


@app.callback()
def images() -> None:
    """The disk images that real machines boot from.

    Where none was imported for a definition, Poolwright's own node image stands in for it.
    """


@app.command(epilog=examples("poolwright images build", "poolwright images build --form hybrid --form unsigned"))
def build(
    form: Annotated[
        list[Form] | None,
        typer.Option(
            "--form",
            case_sensitive=False,
            help="gen1 boots by BIOS, gen2 by UEFI with Secure Boot, hybrid by both, unsigned by UEFI without Secure "
            "Boot only, for trying that out. Else gen1 and gen2.",
        ),
    ] = None,
    data_dir: OwnDataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Build Poolwright's own node image from Debian's packages, which are downloaded and not installed.

    It needs no root. What is there already from the same packages is not built again.
    """
    with (
        keeping(data_dir, changing=True) as keeper,
        progress.steps_shown("building node images", lines=output is not Output.JSON) as told,
    ):
        from poolwright.image_keeping import USUAL_FORMS

        built = keeper.build([*form] if form else USUAL_FORMS, told)
    _print(built, output)


@app.command(
    "import",
    epilog=examples(
        "poolwright images import --definition 2204gen2containerd jammy-server-cloudimg-amd64.img",
        "poolwright images import --definition windows-2022-containerd-gen2 windows.vhdx",
    ),
)
def import_disk(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A disk: qcow2, raw, vhd or vhdx.")],
    definition: Annotated[
        str, typer.Option("--definition", help="The node image definition it is for, as in nodeImageVersion.")
    ],
    with_agent: Annotated[
        bool, typer.Option("--with-agent", help="Poolwright's guest agent is installed on it.")
    ] = False,
    cloud_init: Annotated[
        bool | None,
        typer.Option(
            "--cloud-init/--no-cloud-init",
            help="Its cloud-init is told host name, network and SSH keys. Else so for Linux without --with-agent.",
            show_default=False,
        ),
    ] = None,
    data_dir: OwnDataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Import a disk of your own for a node image definition; the file itself is only read.

    Format, partition table and boot loader are checked. A file that is damaged, names other files, or does not boot
    in the definition's generation is refused.
    """
    with (
        keeping(data_dir, changing=True) as keeper,
        progress.steps_shown(f"importing {file.name}", lines=output is not Output.JSON) as told,
    ):
        imported = keeper.import_disk(file, definition, _seldom(told), has_agent=with_agent, cloud_init=cloud_init)
    print_answer(imported, [_row(imported)], output)


@app.command("list", epilog=examples("poolwright images list", "poolwright images list -o json"))
def list_images(data_dir: OwnDataDir = None, output: OutputForm = Output.TABLE) -> None:
    """List the images, oldest first."""
    with keeping(data_dir) as keeper:
        found = keeper.images()
    _print(found, output)


@app.command(epilog=examples("poolwright images show gen2", "poolwright images show 2204gen2containerd -o json"))
def show(image: Reference, data_dir: OwnDataDir = None, output: OutputForm = Output.TABLE) -> None:
    """Show an image."""
    with keeping(data_dir) as keeper:
        found = keeper.image(image)
    details = _row(found) | {"Path": found["path"]}
    rows = [{"Property": name, "Value": value} for name, value in details.items()]
    print_answer(found, [*rows, *({"Property": "Source", "Value": part} for part in found["source"])], output)


@app.command(epilog=examples("poolwright images remove 2204gen2containerd", "poolwright images remove 4701e2 --yes"))
def remove(image: Reference, yes: Yes = False, data_dir: OwnDataDir = None) -> None:
    """Remove an image, unless a machine has its disk from it."""
    with keeping(data_dir) as keeper:
        found = keeper.image(image)
        changes.confirm(f"Remove image {_short(found)}, {_what(found)}?", yes=yes, az_asks=False)
        keeper.remove(image)


@contextmanager
def keeping(data_dir: Path | None, *, changing: bool = False) -> Iterator[ImageKeeping]:
    """Yield the verbs about images; what they refuse becomes a `Failure`. To change some, the directory is made."""
    from poolwright.image_keeping import TROUBLES, ImageKeeping
    from poolwright.installation import DataDirectory

    directory = DataDirectory(connection.data_directory(data_dir))
    try:
        if changing:
            directory.create()
        yield ImageKeeping.of_operator(directory.images, directory.path)
    except LookupError as error:
        raise Failure(f"error: {error.args[0]}", code=NOT_FOUND) from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        raise Failure(f"error: {place}{error.strerror or error}") from error
    except (ValueError, *TROUBLES) as error:
        raise Failure(f"error: {error}") from error


def _seldom(told: progress.Steps) -> progress.Steps:
    """`told`, but within a step only when another tenth is done: each call is a line where there is no terminal."""
    heard: set[tuple[str, int]] = set()

    def tell(step: str, share: float) -> None:
        if (step, int(share * 10)) not in heard:
            heard.add((step, int(share * 10)))
            told(step, share)

    return tell


def _print(found: Sequence[Json], output: Output) -> None:
    print_answer(found, [_row(image) for image in found], output)


def _row(image: Json) -> dict[str, object]:
    return {
        "Image": _short(image),
        "Origin": image["origin"],
        "For": _what(image),
        "Generations": ",".join(image["generations"]),
        "SecureBoot": _SECURE_BOOT[image["secureBoot"]] if "V2" in image["generations"] else "",
        "Agent": "yes" if image["hasAgent"] else "no",
        "CloudInit": "yes" if image["cloudInit"] else "no",
        "DiskMiB": image["virtualBytes"] // _MIB,
        "FileMiB": round(image["fileBytes"] / _MIB, 1),
    }


def _short(image: Json) -> str:
    digest: str = image["digest"]
    return digest.removeprefix("sha256:")[:12]


def _what(image: Json) -> str:
    """What an image is for; of a stand-in, that it is one."""
    if image["definition"]:
        return str(image["definition"])
    purpose = "tests of Secure Boot" if image["secureBoot"] is False else "stands in for Linux definitions"
    return f"{image['form']}: {purpose}"
