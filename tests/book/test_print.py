"""The lessons on paper: one PDF with every lesson and the solutions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.helpers import REPOSITORY
from tests.helpers.browser import NEEDS_CHROMIUM

pytestmark = NEEDS_CHROMIUM


def test_all_lessons_are_printed_with_an_outline_and_no_link_leads_out_of_the_document(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "book", "pdf", "--output", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    printed = (tmp_path / "lessons.pdf").read_bytes()
    assert 80 < len(re.findall(rb"/Type\s*/Page\b", printed)) < 200
    assert b"/Outlines" in printed
    assert b"/StructTreeRoot" in printed  # tags, for those who listen to it
    links = re.findall(rb"/URI\s*\(([^)]*)\)", printed)
    assert links
    assert [link for link in links if not link.startswith(b"http")] == []
