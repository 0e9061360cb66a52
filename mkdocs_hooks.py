"""What the documentation's site needs beside docs/: the pages of the reference, made from the code, and its links.

A page may link to a file of the project outside of docs/, which is good where the project is browsed. The site has no
such files: there the link becomes the name of the file.
"""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs_tools import catalog_page, commands_page, http_pages, metrics_page, settings_page


@cache
def generated_pages() -> dict[str, str]:
    """The Markdown of each generated page, by its place below docs/."""
    return {
        "reference/settings.md": settings_page.page(),
        "reference/metrics.md": metrics_page.page(),
        "reference/commands.md": commands_page.page(),
        "reference/catalog.md": catalog_page.page(),
        **{f"reference/http/{name}": text for name, text in http_pages.pages().items()},
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation with every FOLDER/* replaced by the pages of that folder, its index first."""
    docs = Path(config.docs_dir)
    places = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} | set(generated_pages())
    config.nav = _expanded(config.nav, sorted(places, key=lambda place: (not place.endswith("/index.md"), place)))
    return config


def _expanded(entry: Any, places: list[str]) -> Any:
    if isinstance(entry, list):
        return [_expanded(item, places) for item in entry]
    if isinstance(entry, dict):
        return {title: _expanded(item, places) for title, item in entry.items()}
    if entry.endswith("/*"):
        return [place for place in places if place.startswith(entry[:-1])]
    return entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for place, text in generated_pages().items():
        files.append(File.generated(config, place, content=text))
    return files


_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that leave docs/ as the names of what they lead to."""
    folder = posixpath.dirname(page.file.src_uri)

    def named(link: re.Match[str]) -> str:
        text, target = link.groups()
        place = posixpath.normpath(posixpath.join(folder, target))
        if not place.startswith("../"):
            return link[0]
        name = f"`{place.removeprefix('../')}`"
        return name if text.strip("`") in name else f"{text} ({name})"

    return _LINK.sub(named, markdown)
