"""The sample reports under version control are what this version makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from segmentor.config import load_config
from segmentor.report import render_report
from segmentor.result import from_json

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "reports" / "samples").iterdir())
MOST_BYTES = 1_000_000


def test_there_is_a_sample_in_each_language() -> None:
    """Laundry speaks English and the fragrance shop Chinese."""
    spoken = {folder.name: load_config(ROOT / "configs" / f"{folder.name}.yaml").language for folder in SAMPLES}
    assert spoken == {"laundry": "en", "fragrance-zh": "zh"}


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda folder: folder.name)
def test_a_sample_is_current(folder: Path) -> None:
    """The committed page is, byte for byte, the one that its committed results give today; `make samples` makes both anew."""
    result = from_json((folder / "results.json").read_text(encoding="utf-8"))
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert result.config["experiment"] == folder.name
    assert page == render_report(result)
    assert len(page.encode()) < MOST_BYTES
