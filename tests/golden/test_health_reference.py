"""Metrics and codes: their pages are fresh, every code has its words, every metric has a value."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import pipeline
from pipeline.errors import AccesstrailError
from pipeline.health.metrics import METRICS, RESPONDER_METRICS, SCHEDULER_METRICS
from pipeline.health.troubles import TROUBLES
from pipeline.stages.decode import REASONS
from tests.golden.make_health import FOLDER, PAGES

REPOSITORY = FOLDER.parent.parent


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_lists_say(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m tests.golden.make_health"


def _classes(base: type[AccesstrailError]) -> Iterator[type[AccesstrailError]]:
    yield base
    for one in base.__subclasses__():
        yield from _classes(one)


def _written_codes() -> set[str]:
    """Every literal that is given as `code=…` to an error, a reason or a probe anywhere in the product."""
    found = set()
    for folder in ("pipeline", "detectors", "dashboards/grafana", "deploy"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                    found.add(str(node.value.value))
    return found


def test_no_code_is_without_an_explanation() -> None:
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    codes = {one.code for one in _classes(AccesstrailError)} | _written_codes()
    assert {"ledger_conflict", "kafka_away", "model_corrupt", "port_taken", "internal_error"} <= codes
    assert codes - set(TROUBLES) - set(REASONS) == set()


@pytest.mark.parametrize("code", TROUBLES)
def test_every_explanation_is_whole_in_both_languages(code: str) -> None:
    trouble = TROUBLES[code]
    for text in (trouble.meaning, trouble.next_step):
        assert text.endswith("."), text
    for text in (trouble.meaning_zh, trouble.next_step_zh):
        assert text.endswith("。"), text
        assert re.search("[一-鿿]", text)
    assert trouble.meaning[0].isupper() or trouble.meaning.startswith("accesstrail")
    assert trouble.next_step[0].islower() or trouble.next_step.startswith(("`", "ClickHouse", "Kafka"))


def test_every_label_of_a_metric_is_of_low_cardinality() -> None:
    allowed = {"partition", "code", "state", "step", "dependency", "reason", "versions_id", "detector"}
    allowed |= {"topic", "transition", "channel", "outcome"}
    listed = (*METRICS, *SCHEDULER_METRICS, *RESPONDER_METRICS)
    assert {label for one in listed for label in one.labels} <= allowed
    assert len({one.name for one in listed}) == len(listed)
    for one in listed:
        assert re.fullmatch(r"accesstrail_[a-z_]+", one.name)
        assert (one.kind == "counter") == one.name.endswith("_total"), one.name
        assert one.help.endswith(".")
