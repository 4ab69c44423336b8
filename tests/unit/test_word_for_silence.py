"""A source that has stopped reporting is called by one Chinese word wherever people read: 静默."""

from __future__ import annotations

import re
from pathlib import Path

from dashboards.console.words import WORDS

ROOT = Path(__file__).resolve().parents[2]
OTHER = re.compile("(来源|日志源)[^。；\n]{0,6}(中断|沉默|失联)|(中断|沉默|失联)的(来源|日志源)")


def test_the_pattern_finds_the_other_words() -> None:
    assert OTHER.search("3 个来源中断时间超过允许值")
    assert OTHER.search("应上报却沉默的来源")
    assert not OTHER.search("来源静默")


def test_every_text_calls_a_silent_source_by_the_same_word() -> None:
    texts = [
        file
        for folder in ("dashboards", "pipeline", "detectors", "docs")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".md", ".html", ".json")
    ]
    assert len(texts) > 300
    found = [str(file.relative_to(ROOT)) for file in texts if OTHER.search(file.read_text(encoding="utf-8"))]
    assert found == []
    for key in ("verdict.silent", "health.silent", "health.is_silent", "health.wrong.silent"):
        assert "静默" in WORDS[key][1], key
