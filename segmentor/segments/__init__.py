"""The tree of segments.

`tree` says who falls where, `members` puts it in a table, `definitions` sizes and estimates, `replay` it all in SQL for each system, `words` in plain words.
"""

from segmentor.segments.definitions import Branch, find_segments, segments_json
from segmentor.segments.members import make_members
from segmentor.segments.replay import segments_sql, translations
from segmentor.segments.tree import Fork, Leaf, below, known_since, leaves_of, not_yet_known, of_the_tree, placed

__all__ = [
    "Branch",
    "Fork",
    "Leaf",
    "below",
    "find_segments",
    "known_since",
    "leaves_of",
    "make_members",
    "not_yet_known",
    "of_the_tree",
    "placed",
    "segments_json",
    "segments_sql",
    "translations",
]
