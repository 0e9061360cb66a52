"""Which texts may stand in an XML file?"""

from __future__ import annotations

import re

# Control characters, lone surrogates and what is no character: XML 1.0 has no way to write them.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """The text with a replacement character for what XML cannot hold, and no space at its ends."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text).strip()
