"""The audit report in words, English or Chinese: its sections as blocks.

Place in the flow: from the facts of `report.py` to the blocks that `report_blocks.py` and the maker of PDF lay out.
Whatever a reader could take for complete says what it does not cover; tokens are shown by their first eight digits, the
machine form has them whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.audit.controls import RESULTS
from pipeline.audit.report import ReportFacts, moment
from pipeline.audit.report_blocks import Block, Code, Heading, Listed, Paragraph, Table, table
from pipeline.audit.report_sentences import LIMITS, SENTENCES, STRATA
from pipeline.notifications.text import short_tokens


class ReportWords:
    """One report in one language."""

    def __init__(self, facts: ReportFacts, language: str) -> None:
        self._facts, self._language = facts, language

    def blocks(self) -> list[Block]:
        """All sections."""
        sections: Sequence[tuple[str, Callable[[], Iterator[Block]]]] = (
            ("scope", self._scope), ("completeness", self._completeness), ("activity", self._activity),
            ("alerts", self._alerts), ("breaches", self._breaches), ("exceptions", self._exceptions),
            ("versions", self._versions), ("accounts", self._accounts), ("controls", self._controls),
            ("sample", self._sample), ("limits", self._limits), ("statements", self._statements),
        )  # fmt: skip
        found: list[Block] = [Heading(1, self._say("title"))]
        for number, (name, section) in enumerate(sections, start=1):
            found += [Heading(2, f"{number} {self._say(name)}"), *section()]
        return found

    # -- sections

    def _scope(self) -> Iterator[Block]:
        scope = self._facts.scope
        yield Paragraph(self._say("period", moment(scope.from_us), moment(scope.to_us)))
        yield Paragraph(self._say("made", moment(scope.made_us), scope.made_by, scope.reason))
        yield Paragraph(self._say("topics", scope.topic, scope.incidents_topic, scope.notifications_topic))
        yield Paragraph(self._say("tokens"))

    def _completeness(self) -> Iterator[Block]:
        facts = self._facts
        evidence = facts.answers["evidence"].figures
        if not evidence.get("batches"):
            yield Paragraph(self._say("nothing_sealed"))
        elif evidence["holes"]:
            yield Paragraph(self._say("holes", evidence["holes"]))
        else:
            yield Paragraph(self._say("no_holes", evidence["batches"], evidence["events"], evidence["dead_letters"]))
        if evidence.get("missing_records"):
            yield Paragraph(self._say("gaps", evidence["missing_records"], evidence["gaps"]))
        if evidence.get("unscored"):
            yield Paragraph(self._say("unscored", evidence["unscored"]))
        yield self._figures("evidence")
        yield Paragraph(self._say("whole_batches"))
        yield self._rows("ledger")
        yield from self._listed("dead_letters")
        yield Paragraph(self._say("sources_seen", facts.figure("source_totals", "sources")))
        yield from self._listed("sources")
        yield Paragraph(self._checkpoints())
        yield from self._listed("checkpoints")

    def _checkpoints(self) -> str:
        row = self._facts.answers["checkpoint_totals"].figures
        if not row.get("signed_trees"):
            return self._say("not_signed")
        if row["uncovered"]:
            return self._say("partly_signed", row["signed_trees"], row["trees"], row["uncovered"])
        return self._say("signed", row["trees"])

    def _activity(self) -> Iterator[Block]:
        for name in ("activity", "explanations", "special", "entries", "own_reads", "subject_rows", "retention"):
            yield self._figures(name)

    def _alerts(self) -> Iterator[Block]:
        yield self._figures("alert_totals")
        yield from self._listed("alerts")
        yield self._figures("incident_totals")
        yield from self._listed("incidents")
        for name in ("deliveries", "scheduled"):
            yield self._figures(name)

    def _breaches(self) -> Iterator[Block]:
        yield from self._listed("breaches")
        for one in self._facts.breaches:
            yield Paragraph(self._say("breach", one["incident_id"], one["known_at"], one["known_by"], one["at"]))
            head = self._say("breach_head").split("|")
            yield table(head, (self._duty(duty) for duty in one["duties"]))

    def _duty(self, duty: Mapping[str, Any]) -> list[object]:
        unsure = "" if duty["confirmed"] else self._say("unconfirmed")
        return [
            duty["duty"] + unsure, duty["state"], duty["deadline"], duty["hours_left"],
            duty["recipient"][self._language], duty["reason"][self._language],
        ]  # fmt: skip

    def _exceptions(self) -> Iterator[Block]:
        names = ("id", "scope", "detectors", "owner", "reason", "valid_from", "valid_until")
        yield Paragraph(self._say("exceptions_of"))
        yield from self._plain_table(self._say("exception_head"), names, self._facts.exceptions)

    def _versions(self) -> Iterator[Block]:
        yield self._figures("version_totals")
        yield from self._listed("versions")

    def _accounts(self) -> Iterator[Block]:
        yield Paragraph(self._say("holders", moment(self._facts.scope.made_us)))
        yield from self._plain_table(self._say("account_head"), ("name", "roles", "state"), self._facts.accounts)
        yield self._figures("account_totals")
        yield from self._listed("account_changes")

    def _controls(self) -> Iterator[Block]:
        facts, register = self._facts, self._facts.register
        results = facts.results()
        yield Paragraph(self._say("register", register.version))
        counted = [(self._both(text), sum(one == word for _, one, _ in results)) for word, text in RESULTS.items()]
        yield table(self._say("result_head").split("|"), counted)
        rows = []
        for control, result, figures in results:
            open_ = set(register.unconfirmed(control))
            serves = [
                f"{law} {number}" + (self._say("unconfirmed") if (law, number) in open_ else "")
                for law, number in control.serves
            ]
            said = [f"{self._both(register.queries[control.query].columns[name])} {value:,}"
                    for name, value in figures.items()]  # fmt: skip
            rows.append(
                [control.control_id, self._both(control.title), self._both(RESULTS[result]), "; ".join(serves),
                 f"{control.query}: {'; '.join(said)}" if control.query else "–", self._both(control.person)]
            )  # fmt: skip
        yield table(self._say("control_head").split("|"), rows)

    def _sample(self) -> Iterator[Block]:
        scope = self._facts.scope
        yield Paragraph(self._say("sample_of", scope.seed, scope.sample_size))
        words = self._facts.register.queries["strata"].columns
        counts = [
            (self._both(STRATA[str(row["stratum"])]), row["population"]) for row in self._facts.answers["strata"].named
        ]
        yield table([self._both(one) for one in words.values()], counts, self._source("strata"))
        rows = [
            [self._both(STRATA[str(row["stratum"])]),
             f"{row['topic']}/{row['incarnation']}/{row['partition']}/{row['offset']}", row["event_time"],
             short_tokens(str(row["actor"])), row["done"], row["ended"], row["resource_type"], row["purpose"],
             row["subject_count"], row["risk"], short_tokens(str(row["drawn_by"]))]
            for row in self._facts.answers["sample"].named
        ]  # fmt: skip
        yield table(self._say("sample_head").split("|"), rows, self._source("sample"))

    def _limits(self) -> Iterator[Block]:
        yield Listed(tuple(self._both(one) for one in LIMITS))

    def _statements(self) -> Iterator[Block]:
        yield Paragraph(self._say("statements_of"))
        for name, one in self._facts.register.queries.items():
            yield Heading(3, name)
            yield Paragraph(self._both(one.about))
            given = self._facts.scope.parameters(one)
            yield Code("\n".join([f"-- {key} = {value}" for key, value in given.items()] + [one.sql]))

    # -- parts

    def _say(self, name: str, *values: object) -> str:
        said = [f"{one:,}" if isinstance(one, int) else str(one) for one in values]
        return self._both(SENTENCES[name]).format(*said)

    def _both(self, text: Any) -> str:  # noqa: ANN401  a Text
        return str(text.in_language(self._language))

    def _source(self, name: str) -> str:
        return self._say("source", name)

    def _figures(self, name: str) -> Table:
        """A statement that only counts, one line a number."""
        query = self._facts.register.queries[name]
        figures = self._facts.answers[name].figures
        rows = [(self._both(words), f"{figures.get(column, 0):,}") for column, words in query.columns.items()]
        return table((self._both(query.about), self._say("number")), rows, self._source(name))

    def _rows(self, name: str) -> Table:
        """A statement's rows as they are."""
        query, answer = self._facts.register.queries[name], self._facts.answers[name]
        rows = [[short_tokens(one) if isinstance(one, str) else one for one in row] for row in answer.rows]
        return table((self._both(words) for words in query.columns.values()), rows, self._source(name))

    def _listed(self, name: str) -> Iterator[Block]:
        """The same, or a sentence where there is none."""
        if self._facts.answers[name].rows:
            yield self._rows(name)
        else:
            yield Paragraph(self._say("none_of", self._both(self._facts.register.queries[name].about)))

    def _plain_table(self, head: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
        if rows:
            yield table(head.split("|"), ([short_tokens(str(row[name])) for name in names] for row in rows))
        else:
            yield Paragraph(self._say("none"))
