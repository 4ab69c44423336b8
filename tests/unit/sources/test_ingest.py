"""Ingest: what is sent, what is refused, what is said, and how the command ends."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from pipeline.cli import ingest as command
from pipeline.cli import main
from pipeline.errors import Away, UsageError
from pipeline.sources.ingest import Ingest, Progress, Refusal
from pipeline.sources.records import Line
from tests.corpus.make_poison import event, text


class Collector:
    """A producer that keeps what it gets; `fails_at`: the number of sent records after which Kafka is away."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.sent: list[tuple[bytes, bytes]] = []
        self.acknowledged = 0
        self._fails_at = fails_at

    def send(self, key: bytes, value: bytes) -> None:
        if len(self.sent) == self._fails_at:
            raise Away("Kafka at 127.0.0.1:9092 does not answer")
        self.sent.append((key, value))

    def flush(self) -> None:
        self.acknowledged = len(self.sent)


def numbered(values: Sequence[bytes | None], path: str = "f") -> list[Line]:
    return [Line(path, number, value) for number, value in enumerate(values, start=1)]


def an_event(number: int) -> bytes:
    """A valid event in a spelling that no encoder of ours would choose."""
    return text(event(f"ingest {number}", actor_id=f"actor-{number % 7}")).replace(b",", b" , ", 1)


# The run


def test_lines_are_sent_unchanged_in_order_under_their_actors_key() -> None:
    values = [an_event(number) for number in range(1203)]
    producer = Collector()
    progress = Ingest(producer=producer).run(numbered(values))
    assert producer.sent == [(f"actor-{number % 7}".encode(), value) for number, value in enumerate(values)]
    assert (progress.read, progress.sent, progress.acknowledged, progress.refused) == (1203, 1203, 1203, 0)
    assert producer.acknowledged == 1203


def test_a_bad_line_is_named_and_not_sent() -> None:
    producer, refusals = Collector(), list[Refusal]()
    lines = numbered([an_event(1), b"{", None, an_event(2), b"{}"])
    progress = Ingest(producer=producer, on_refusal=refusals.append).run(lines)
    assert refusals == [Refusal("f", 2, "bad_json"), Refusal("f", 3, "too_large"), Refusal("f", 5, "missing_field")]
    assert [value for _, value in producer.sent] == [an_event(1), an_event(2)]
    assert progress.reasons == {"bad_json": 1, "too_large": 1, "missing_field": 1}
    assert progress.read == progress.sent + progress.refused == 5


def test_bad_lines_are_sent_raw_on_wish_but_never_those_too_large() -> None:
    producer = Collector()
    progress = Ingest(producer=producer, send_invalid=True).run(numbered([b"{", b" " * 921_601, an_event(1)]))
    assert producer.sent == [(b"", b"{"), (b"actor-1", an_event(1))]
    assert (progress.sent, progress.refused) == (2, 2)


def test_cloudtrail_records_become_events_and_bad_ones_keep_their_place() -> None:
    record = {
        "eventName": "GetObject",
        "eventSource": "s3.amazonaws.com",
        "eventTime": "2024-05-06T10:15:30Z",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"},
    }
    late = {**record, "eventTime": "yesterday"}
    producer, refusals = Collector(), list[Refusal]()
    lines = numbered([json.dumps(one).encode() for one in (record, {}, late, record)])
    Ingest(producer=producer, source_format="cloudtrail", on_refusal=refusals.append).run(lines)
    assert refusals == [Refusal("f", 2, "missing_field"), Refusal("f", 3, "bad_time")]
    assert [key for key, _ in producer.sent] == [b"arn:aws:iam::111122223333:user/alice"] * 2
    assert json.loads(producer.sent[0][1])["action"] == "download"


def test_an_outage_says_how_many_events_are_acknowledged() -> None:
    ingest = Ingest(producer=Collector(fails_at=12_000))
    with pytest.raises(Away, match=r"10,000 of 12,000 sent events are acknowledged"):
        ingest.run(numbered([an_event(1)] * 13_000))
    assert ingest.progress.acknowledged == 10_000


def test_events_before_a_damaged_place_are_acknowledged() -> None:
    def damaged() -> Iterator[Line]:
        yield from numbered([an_event(1)] * 700)
        raise UsageError("f is damaged after line 700")

    producer = Collector()
    with pytest.raises(UsageError, match="damaged"):
        Ingest(producer=producer).run(damaged())
    assert producer.acknowledged == 500


def test_a_limited_rate_is_kept() -> None:
    now_s = 0.0
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        waits.append(seconds)
        now_s += seconds

    producer = Collector()
    Ingest(producer=producer, rate_per_s=50, clock_s=lambda: now_s, sleep=sleep).run(numbered([an_event(1)] * 100))
    assert now_s == pytest.approx(2.0)
    assert len(waits) == 20


def test_times_are_compared_with_the_time_of_sending() -> None:
    value = text(event("late", event_time="2024-05-06T00:00:00Z"))
    refusals: list[Refusal] = []
    day_before_us = 1_714_953_600_000_000 - 2 * 86_400_000_000
    Ingest(producer=Collector(), now_us=lambda: day_before_us, on_refusal=refusals.append).run(numbered([value]))
    assert [one.reason for one in refusals] == ["time_out_of_range"]


def test_an_unknown_format_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="access-event, cloudtrail"):
        Ingest(producer=Collector(), source_format="syslog").run(iter(()))


# The command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def producer() -> Collector:
    return Collector()


@pytest.fixture
def run(producer: Collector, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `accesstrail ingest` in this process: exit code, standard output, standard error."""
    monkeypatch.setattr(command, "_producer", lambda servers, topic: producer)
    monkeypatch.delenv("ACCESSTRAIL_CONFIG", raising=False)

    def run_command(*words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main(["ingest", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code, out.getvalue(), err.getvalue()

    return run_command


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join(an_event(number) for number in range(30))))
    return path


KAFKA = ("--bootstrap", "127.0.0.1:9092")


def test_a_good_file_is_sent_and_the_summary_is_json(run: Run, events: Path, producer: Collector) -> None:
    code, out, err = run(str(events), *KAFKA, "--json")
    summary = json.loads(out)
    assert code == 0
    assert summary.pop("duration_s") >= 0
    assert summary == {"read": 30, "sent": 30, "acknowledged": 30, "refused": 0, "reasons": {}}
    assert len(producer.sent) == 30
    assert "30 sent" in err


def test_bad_lines_are_named_on_standard_error_and_all_in_the_errors_file(
    run: Run, tmp_path: Path, producer: Collector
) -> None:
    path, errors = tmp_path / "mixed.ndjson", tmp_path / "bad.ndjson"
    path.write_bytes(b"\n".join([an_event(1), *[b'{"zhang.wei":1}'] * 50]))
    code, _, err = run(str(path), *KAFKA, "--errors", str(errors))
    assert code == 65
    assert len(producer.sent) == 1
    assert err.count(f"{path}:") == command.SHOWN_REFUSALS
    assert f"{path}:2: unknown_field: a field is not in the schema" in err
    assert "zhang.wei" not in err
    written = [json.loads(line) for line in errors.read_text(encoding="utf-8").splitlines()]
    assert [one["line"] for one in written] == list(range(2, 52))
    assert {one["reason"] for one in written} == {"unknown_field"}
    assert "zhang.wei" not in errors.read_text(encoding="utf-8")


def test_an_outage_ends_with_69_and_the_counts(run: Run, events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_producer", lambda servers, topic: Collector(fails_at=10))
    code, out, err = run(str(events), *KAFKA, "--json")
    assert code == 69
    assert json.loads(out)["acknowledged"] == 0
    assert "0 of 10 sent events are acknowledged" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Missing argument"),
        (("nothing.ndjson", *KAFKA), "no such file: nothing.ndjson"),
        (("-",), "--state DIR"),
        (("-", *KAFKA, "--state", "x"), "give one of them"),
        (("-", "--state", "no-such-folder"), "accesstrail up --state"),
        (("-", *KAFKA, "--format", "syslog"), "syslog"),
        (("-", *KAFKA, "--rate", "0"), "rate"),
        (("-", *KAFKA, "--format", "cloudtrail", "--send-invalid"), "access-event"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_why(
    run: Run, words: tuple[str, ...], said: str, producer: Collector
) -> None:
    code, _, err = run(*words)
    assert code == 2
    assert said in err
    assert producer.sent == []


def test_help_has_examples(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "--format cloudtrail" in out
    assert "69 Kafka does not answer" in " ".join(out.split())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal(), 50), (io.StringIO(), 2)])
def test_progress_is_shown_often_on_a_terminal_and_seldom_in_a_log(stream: io.StringIO, shown: int) -> None:
    now_s = 0.0
    display = command._Display(stream, lambda: now_s)
    for _ in range(100):
        now_s += 0.11
        display.progress(Progress(read=1))
    assert stream.getvalue().count("1 read") == shown
    assert ("\r" in stream.getvalue()) == stream.isatty()
