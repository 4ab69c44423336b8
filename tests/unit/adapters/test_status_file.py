"""Workers' status files: one each, merged by their readers, stale ones ignored."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.adapters.status_file import STALE_AFTER, StatusFile, read_workers


def test_each_worker_has_a_file_and_readers_see_them_all(tmp_path: Path) -> None:
    first, second = StatusFile(tmp_path, "aa"), StatusFile(tmp_path, "bb")
    first.write({"ready": True})
    second.write({"ready": False})
    assert [(one["writer"], one["ready"], one["pid"]) for one in read_workers(tmp_path)] == [
        ("aa", True, os.getpid()),
        ("bb", False, os.getpid()),
    ]
    first.remove()
    first.remove()
    assert [one["writer"] for one in read_workers(tmp_path)] == ["bb"]


def test_what_a_killed_worker_left_is_ignored_and_cleared_by_the_next_one(tmp_path: Path) -> None:
    old = StatusFile(tmp_path, "old")
    old.write({"updated_at": (datetime.now(UTC) - 2 * STALE_AFTER).isoformat(), "ready": True})
    assert read_workers(tmp_path) == []
    long_ago = time.time() - timedelta(minutes=5).total_seconds()
    os.utime(tmp_path / "worker-old.json", (long_ago, long_ago))
    new = StatusFile(tmp_path, "new")
    new.write({})
    new.clear_stale()
    assert [path.name for path in tmp_path.iterdir()] == ["worker-new.json"]


def test_half_written_or_foreign_files_are_no_workers(tmp_path: Path) -> None:
    (tmp_path / "worker-x.json").write_text('{"pid": 1,')
    (tmp_path / "worker-y.json").write_text("[]")
    (tmp_path / "worker-z.json").write_text(json.dumps({"updated_at": "yesterday"}))
    (tmp_path / "stack.json").write_text(json.dumps({"updated_at": datetime.now(UTC).isoformat()}))
    assert read_workers(tmp_path) == []
    assert read_workers(tmp_path / "absent") == []
