"""The page's own contents, read off its sections: a new section needs no entry anywhere."""

from __future__ import annotations

import re
from html import unescape


def sections_in(body: str) -> list[tuple[str, str]]:
    """Ids and titles of the sections of a page, in order.

    Args:
        body: The page's markup. Names from the data are escaped in it, so that none of them opens a section.
    """
    return [(found["id"], unescape(re.sub("<[^>]*>", "", found["title"]))) for found in _SECTION.finditer(body)]


_SECTION = re.compile(r'<section id="(?P<id>[\w-]+)"[^>]*>\s*<h2[^>]*>(?P<title>.*?)</h2>', re.DOTALL)
"""A section opens with its title."""
