"""`quotepart hand-over`: issued documents as files, for a platform or an archive that picks them up."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

import typer

from app.commands.terminal import AsJson, Quiet, fail, now, opened, out, show
from app.operations.hand_over import HandedOver, hand_over
from app.operations.render_document import CONTENT_TYPES
from app.settings import Settings

commands = typer.Typer()


@commands.command("hand-over")
def hand_over_documents(
    to: Annotated[Path, typer.Option(help="the directory that they are put into")],
    form: Annotated[list[str] | None, typer.Option(help="pdf, xml, ubl.xml or csv; may be repeated")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Put every issued document that this directory has not got yet into it: the PDF (Factur-X) and the e-invoice.

    Each file appears whole or not at all. What was handed over once is not handed over again, also when it was taken
    away; another directory gets all.
    """
    forms = list(dict.fromkeys(form or ["pdf", "xml"]))
    unknown = [item for item in forms if item not in CONTENT_TYPES]
    if unknown:
        raise typer.BadParameter(f"documents come as {', '.join(CONTENT_TYPES)}, not {unknown[0]}")
    try:
        to.mkdir(parents=True, exist_ok=True)
        with opened(Settings.from_environment()) as database:
            handed = hand_over(database, target=str(to.resolve()), formats=forms, write=partial(put_file, to), now=now)
            found = list(handed)
    except OSError as error:
        fail(f"cannot write to {to}: {error.strerror}")
    show(_facts(found), as_json=as_json, otherwise=lambda: None if quiet else _told(found, to))


def put_file(directory: Path, name: str, content: bytes) -> None:
    """The file under its name, whole, also when the machine stops at any moment; one of that name is replaced."""
    with NamedTemporaryFile(dir=directory, prefix=".", suffix=".part", delete=False) as temporary:
        try:
            temporary.write(content)
            temporary.flush()
            os.fsync(temporary.fileno())
            # A temporary file is its owner's alone; what is handed over is for others.
            os.chmod(temporary.name, 0o644)
            os.replace(temporary.name, directory / name)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary.name)
            raise
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _facts(found: list[HandedOver]) -> dict[str, Any]:
    return {"documents": [{"number": item.number, "files": list(item.files)} for item in found]}


def _told(found: list[HandedOver], to: Path) -> None:
    files = sum(len(item.files) for item in found)
    out.print(f"{len(found)} documents handed over to {to}, {files} files.", highlight=False)
