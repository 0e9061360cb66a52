"""Typst templates and JSON -> PDF/A, whatever characters a text has.

Nothing of the content is read as markup. A character that no font has is replaced, and where PDF/A refuses a document
for another reason it is a plain PDF: readable comes before archivable.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import typst

_FOLDER = Path(__file__).parent

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_MAX_ATTEMPTS = 8

# A compiler keeps its input between the calls of a compilation, so one thread at a time.
_compiling = Lock()


class Template:
    """A file of this folder, compiled with a JSON value in `sys.inputs.document`.

    One compiler for the process, since making one costs more than a page. The fonts that typst brings with it are
    enough; those of the system are only asked for characters that typst's own lack, such as Chinese.
    """

    def __init__(self, name: str) -> None:
        self._compiler = typst.Compiler(_FOLDER / name, root=_FOLDER)

    def pdf(self, content: Mapping[str, Any], *, at: datetime, as_they_are: Mapping[str, Any] | None = None) -> bytes:
        """PDF/A-3b dated `at`. The texts of `content` are made printable, those of `as_they_are` are left alone.

        Raises typst.TypstError where not even a plain PDF can be made of it.
        """
        printed = _printable(dict(content)) | (as_they_are or {})
        timestamp = int(at.timestamp())
        for _ in range(_MAX_ATTEMPTS):
            try:
                return self._compiled(printed, timestamp=timestamp, standard="a-3b")
            except typst.TypstError as error:
                missing = _without_glyph(error)
                if not missing:
                    break
                visible = {text for text in missing if not _is_invisible(text)}
                # A joiner or a zero-width space often fails only because of its neighbour, and is then wanted.
                printed = _replaced(printed, visible, _REPLACEMENT) if visible else _replaced(printed, missing, "")
        return self._compiled(printed, timestamp=timestamp, standard="1.7")

    def _compiled(self, content: Any, *, timestamp: int, standard: Literal["a-3b", "1.7"]) -> bytes:
        inputs = {"document": json.dumps(content, ensure_ascii=False)}
        with _compiling:
            # Without tags the file is half as large, and they say little of a layout made of grids.
            pdf = self._compiler.compile(
                format="pdf", sys_inputs=inputs, pdf_standards=standard, timestamp=timestamp, pdf_tags=False
            )
        assert isinstance(pdf, bytes)
        return pdf


# --- texts that can be printed ---------------------------------------------------------------------------------------

# Characters that show nothing: some make a text read otherwise than it is (the controls of direction), the others leave
# traces in what is copied out of the PDF. Joiners stay, since scripts need them.
_INVISIBLE = dict.fromkeys(
    (
        0xAD, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFE00, 0xFE10),
        0xFEFF, *range(0xFFF9, 0xFFFC), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000),
    )
)  # fmt: skip
# More marks on one letter than any writing has; PDF readers refuse the letter otherwise.
_MARK = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
_TOO_MANY_MARKS = re.compile(f"({_MARK}{{10}}){_MARK}+")
_LONG_WORD = re.compile(r"[\S\u00a0\u202f]{25,}")
_LONG_WORD_STEP = 10


def _printable(value: Any) -> Any:
    """The same JSON value with texts that any font and any column can take."""
    if isinstance(value, str):
        return _LONG_WORD.sub(_breakable, _clean(value))
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def _clean(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = "".join(map(_clean_character, text.translate(_INVISIBLE)))
    return _TOO_MANY_MARKS.sub(r"\1", text)


def _clean_character(character: str) -> str:
    match unicodedata.category(character):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cs":
            return _REPLACEMENT
        case _:
            return character


def _breakable(word: re.Match[str]) -> str:
    """A long word with places, none inside a character, at which a line may end."""
    pieces, length = [], 0
    for character in word.group():
        joined = unicodedata.category(character).startswith(("M", "Cf")) or character == _REPLACEMENT
        if length >= _LONG_WORD_STEP and not joined:
            pieces.append("\u200b")
            length = 0
        pieces.append(character)
        length += 1
    return "".join(pieces)


_NO_GLYPH = re.compile(r'the text `"((?:[^"\\]|\\.)*)"` could not be displayed')
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))")


def _without_glyph(error: typst.TypstError) -> set[str]:
    """The texts that no font has glyphs for, as the error names them. Empty where it is another error."""
    found = _NO_GLYPH.findall(f"{error.message}\n{error.diagnostic}")
    return {_ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else m[2], text) for text in found} - {""}


def _is_invisible(text: str) -> bool:
    return all(unicodedata.category(character) == "Cf" for character in text)


def _replaced(value: Any, missing: set[str], replacement: str) -> Any:
    if isinstance(value, str):
        for text in sorted(missing, key=len, reverse=True):
            value = value.replace(text, replacement)
        return value
    if isinstance(value, dict):
        return {key: _replaced(item, missing, replacement) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, missing, replacement) for item in value]
    return value
