"""One run: a topic of its own, workers, faults as planned, then quiet, then every promise checked."""

from __future__ import annotations

import random
import secrets
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from pipeline.adapters.clickhouse import ClickHouse, connect
from pipeline.adapters.kafka import TopicAdmin, topic_specs
from pipeline.adapters.status_file import read_workers
from pipeline.config import Settings
from pipeline.errors import AccesstrailError, Away, ConfigError
from tests.faults import plan as faults
from tests.faults.calm import Calm
from tests.faults.fleet import Worker, Zygote, await_gap
from tests.faults.plan import Act, Plan
from tests.faults.promises import Promises
from tests.faults.proxy import Mode, Proxies
from tests.faults.records import Company, Portions
from tests.faults.stack import FaultStack

SESSION_S = 6
STORE_TIMEOUT_S = 10
_REACH_S = 60.0
_QUIET_S = 180.0
_TAKE_OVER_S = 90.0
_POLL_S = 0.8
_IN_MID_STEP_S = 0.08
_MEET_S = 240


@dataclass(slots=True)
class Outcome:
    """What a run did and found."""

    name: str
    injected: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    """Workers that ended by themselves, with their exit status: a supervisor would start them again, as we do."""
    offsets: int = 0
    alerts: int = 0
    seconds: float = 0.0
    finding: str = ""


class Wave:
    """Runs that meet in their gaps; when all who still run are there, the last one does the deed for everybody.

    Every second time all leave their gaps first: the deed then falls into whatever they do next.
    """

    def __init__(self, parties: int, deed: Callable[[], None], chance: random.Random) -> None:
        self._parties, self._deed, self._chance = parties, deed, chance
        self._leaving: list[Callable[[], None]] = []
        self._round = 0
        self._changed = threading.Condition()

    def meet(self, leave_gap: Callable[[], None]) -> None:
        """Returns when the deed is done and the gap is left."""
        with self._changed:
            mine = self._round
            self._leaving.append(leave_gap)
            self._act_if_all()
            met = self._changed.wait_for(lambda: self._round != mine, _MEET_S)
            if not met:  # somebody is lost: go on alone
                self._leaving.remove(leave_gap)
                leave_gap()

    def leave(self) -> None:
        """This run has ended."""
        with self._changed:
            self._parties -= 1
            self._act_if_all()

    def _act_if_all(self) -> None:
        if self._leaving and len(self._leaving) >= self._parties:
            going_on = self._chance.random() < 0.5
            if not going_on:
                self._deed()
            for leave_gap in self._leaving:
                leave_gap()
            if going_on:
                time.sleep(self._chance.random() * _IN_MID_STEP_S)
                self._deed()
            self._leaving.clear()
            self._round += 1
            self._changed.notify_all()


@dataclass(slots=True)
class Bench:
    """What all runs share."""

    stack: FaultStack
    zygote: Zygote
    proxies: Proxies
    company: Company
    calm: Calm
    folder: Path
    sabotage: str = ""


class Run:
    """Executes one plan."""

    def __init__(self, plan: Plan, bench: Bench, number: int, wave: Wave | None = None) -> None:
        self._plan, self._bench, self._wave = plan, bench, wave
        self._chance = plan.chance
        self.outcome = Outcome(plan.name)
        base = bench.stack.settings
        self.topic = f"faults.{number}.{secrets.token_hex(4)}"
        self._settings: Settings = replace(
            base,
            kafka=replace(
                base.kafka,
                events_topic=self.topic,
                incidents_topic=f"{self.topic}.incidents",
                notifications_topic=f"{self.topic}.notifications",
            ),
        )
        self._folder = bench.folder / self.topic
        self._folder.mkdir(parents=True)
        self._proxy = bench.proxies.open(base.clickhouse.native_port)
        self._admin = TopicAdmin(base.kafka.bootstrap_servers)
        self._reader: ClickHouse = connect(base.clickhouse, "reader")
        self._writer: ClickHouse = connect(base.clickhouse, "writer")
        self._portions = Portions(
            bench.company, self._chance, base.kafka.bootstrap_servers, self.topic, base.kafka.partitions
        )
        self._workers: list[Worker] = []
        self._count = 0
        self._life = ""
        self._batch_records = self._chance.choice((15, 25, 40))
        reads_again = any(act.gap == ("recovery", 5) for act in plan.acts)
        self._snapshot_events = 10_000 if reads_again else self._chance.choice((60, 120, 10_000))

    # -- the run

    def execute(self) -> Outcome:
        """Runs the plan; whatever breaks a promise is the outcome's finding."""
        began = time.monotonic()
        try:
            self._admin.create(topic_specs(self._settings.kafka))
            self._patiently(self._send)
            for act in self._plan.acts:
                self._perform(act)
            self._finish()
        except AssertionError as exc:
            self.outcome.finding = str(exc) or repr(exc)
        except Exception:
            self.outcome.finding = f"the controller failed\n{traceback.format_exc()}"
        finally:
            if self._wave is not None:
                self._wave.leave()
            for worker in self._workers:
                worker.kill()
            self._proxy.close()
        self.outcome.seconds = round(time.monotonic() - began, 1)
        self._tidy()
        return self.outcome

    def _tidy(self) -> None:
        if not self.outcome.finding:
            shutil.rmtree(self._folder, ignore_errors=True)
            for topic in (self.topic, f"{self.topic}.incidents"):
                try:
                    self._admin.delete(topic)
                except AccesstrailError:
                    continue
        self._admin.close()
        self._reader.close()
        self._writer.close()

    def _patiently(self, step: Callable[[], Any]) -> Any:
        """Servers may be starting again: the controller itself waits for them."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return step()
            except (Away, KafkaError):
                assert time.monotonic() < deadline, "the controller cannot reach the servers"
                time.sleep(0.2)

    def _send(self, share: float = 1.0, *, closing: bool = False) -> None:
        wanted = any(act.gap == ("bisection", 1) for act in self._plan.acts) or self._chance.random() < 0.15
        self._portions.send(
            int(self._chance.randint(60, 110) * share), refused=wanted, closing=closing,
            # A transaction that dies with its broker is ended by a marker nobody can wait for.
            holes=not closing and not self._plan.is_wave and self._chance.random() < 0.4,
        )  # fmt: skip

    # -- workers

    def _start(self, armed: Act | None = None) -> Worker:
        self._count += 1
        folder = self._folder / f"worker-{self._count}"
        folder.mkdir()
        worker = self._bench.zygote.fork(self._order(folder, armed))
        self._workers.append(worker)
        return worker

    def _order(self, folder: Path, armed: Act | None) -> dict[str, Any]:
        kafka = {
            "events_topic": self.topic,
            "incidents_topic": self._settings.kafka.incidents_topic,
            "group": f"{self.topic}-record",
            "session_timeout_s": SESSION_S,
            "max_batch_records": self._batch_records,
        }
        return {
            "folder": str(folder),
            "company": str(self._bench.company.folder),
            "kafka": kafka,
            "clickhouse": {"native_port": self._proxy.port, "timeout_s": STORE_TIMEOUT_S},
            "recovery": {"snapshot_events": self._snapshot_events, "snapshot_interval_s": 3600, "drain_timeout_s": 5},
            "arm": [*armed.gap, armed.nth] if armed else None,
            "sabotage": self._bench.sabotage,
        }

    def _living(self) -> list[Worker]:
        """Workers that run; those that ended by themselves are noted."""
        for worker in self._workers:
            worker.listen(0)
            if not worker.alive:
                self.outcome.died.append(str(worker.exit_status))
                worker.close()
        self._workers = [worker for worker in self._workers if worker.alive]
        return self._workers

    def _drop(self, worker: Worker) -> None:
        """Kills a worker on purpose."""
        worker.kill()
        self._workers.remove(worker)

    # -- acts

    def _perform(self, act: Act) -> None:
        worker = self._reach(act)
        if worker is None:
            self.outcome.missed.append(str(act))
            return
        self.outcome.injected.append(str(act))
        getattr(self, "_" + act.fault.replace("-", "_"))(worker)

    def _reach(self, act: Act) -> Worker | None:
        """Brings a worker into the act's gap; None where nobody gets there."""
        if act.gap in faults.CLOSING:
            self._recreate_topic()
        if act.gap in faults.COMMIT or act.gap in faults.OTHERS:
            self._patiently(self._send)
            if act.gap == ("snapshot", 1):
                self._patiently(self._send)
                self._snapshot_events = 40
            if len(self._living()) > 1 and self._chance.random() < 0.5:
                self._drop(self._chance.choice(self._workers))
            if not self._living() or act.gap == ("snapshot", 1):
                for worker in list(self._workers):
                    self._drop(worker)
                self._start(act)
            for worker in self._workers:
                worker.arm(act.gap, act.nth)
        else:
            if act.gap == ("recovery", 5):
                self._seal_beyond_snapshot()
            self._die_in_commit(unsealed=act.gap in faults.UNSEALED)
            self._start(act)
        found = self._await_gap(act)
        for worker in self._workers:
            if worker is not found:
                worker.disarm()
        return found

    def _await_gap(self, act: Act) -> Worker | None:
        """A worker in its gap; one that ends by itself (the broker was away at its start) is started again."""
        deadline = time.monotonic() + _REACH_S
        while True:
            found = await_gap(self._workers, deadline - time.monotonic())
            if found is not None or time.monotonic() > deadline:
                return found
            if not self._living():
                time.sleep(_POLL_S)
                self._start(act)

    def _seal_beyond_snapshot(self) -> None:
        """Brings some of the log into the ledger that no snapshot of the profiles covers."""
        if not self._living():
            self._start()
        before = self._sealed()
        self._patiently(self._send)
        self._await(lambda: self._sealed() != before, _TAKE_OVER_S, "more is sealed")

    def _die_in_commit(self, *, unsealed: bool) -> None:
        """Kills whoever runs; with `unsealed` at a place that leaves rows whose batch is not sealed."""
        if unsealed:
            step = Act(faults.KILL, ("commit", self._chance.randint(2, 6)), self._chance.randint(1, 3))
            found = self._reach(step)
            if found is not None:
                self.outcome.injected.append(str(step))
        for worker in list(self._workers):
            self._drop(worker)

    def _recreate_topic(self) -> None:
        """The topic is deleted and made again while nobody reads it."""
        if not self._living():
            self._start()
        self._await(lambda: sum(self._sealed().values()) > 50, _QUIET_S, "a first life")
        for worker in list(self._workers):
            self._drop(worker)
        self._life = ""
        self._await(self._is_deleted, 60, "the topic deleted")
        self._await(lambda: bool(self._admin.create(topic_specs(self._settings.kafka))), 20, "the topic made again")
        self._patiently(self._send)

    def _is_deleted(self) -> bool:
        """Whether the topic is gone; asks for it again where the broker died over the first asking."""
        if self._admin.describe(self.topic) is None:
            return True
        with suppress(ConfigError):  # it went between the two questions
            self._admin.delete(self.topic)
        return False

    def _kill(self, worker: Worker) -> None:
        self._drop(worker)
        if not self._workers:
            self._start()

    def _zombie(self, worker: Worker) -> None:
        assert worker.at is not None
        partition = worker.at[2]
        worker.signal(signal.SIGSTOP)
        before = self._sealed().get(partition, 0)
        self._patiently(self._send)
        if len(self._workers) < 2:
            self._start()
        self._await(lambda: self._taken_over(worker, partition, before), _TAKE_OVER_S, "another worker has taken over")
        worker.go()
        worker.signal(signal.SIGCONT)
        time.sleep(self._chance.random())

    def _taken_over(self, former: Worker, partition: int, before: int) -> bool:
        """Another worker has sealed more of the partition, or owns it and there is no more to seal."""
        sealed = self._sealed().get(partition, 0)
        owners = [self._status(one) for one in self._workers if one is not former]
        is_owned = any((partition, "running") == state[:2] for states in owners for state in states or ())
        return sealed > before or (is_owned and sealed == self._wanted().get(partition, 0))

    def _store_cut(self, worker: Worker) -> None:
        self._proxy.set(Mode.REFUSE)
        worker.go()
        time.sleep(self._chance.uniform(0.1, 1.5))
        self._proxy.set(Mode.PASS)

    def _answer_lost(self, worker: Worker) -> None:
        self._proxy.set(Mode.LOSE_ANSWERS)
        worker.go()
        time.sleep(self._chance.uniform(0.1, 1.0))
        self._proxy.set(Mode.PASS)

    def _store_silent(self, worker: Worker) -> None:
        self._proxy.set(Mode.SWALLOW)
        worker.go()
        time.sleep(self._chance.uniform(0.5, 5.0))
        self._proxy.set(Mode.REFUSE)
        self._proxy.set(Mode.PASS)

    def _store_slow(self, worker: Worker) -> None:
        self._proxy.delay_s = self._chance.uniform(0.05, 0.5)
        self._proxy.set(Mode.DELAY)
        worker.go()
        time.sleep(self._chance.uniform(0.5, 4.0))
        self._proxy.set(Mode.PASS)

    def _rebalance_in(self, worker: Worker) -> None:
        joined = self._start(Act("", ("recovery", 1)))
        await_gap([joined], _TAKE_OVER_S)
        for one in self._chance.sample([worker, joined], 2):
            one.go()
            time.sleep(self._chance.random() / 2)

    def _rebalance_out(self, worker: Worker) -> None:
        if len(self._workers) < 2:
            self._start()
        worker.signal(signal.SIGTERM)
        time.sleep(self._chance.random())
        worker.go()
        if worker.await_end(20):
            worker.close()
            self._workers.remove(worker)

    def _disk_full(self, worker: Worker) -> None:
        with self._bench.stack.full_disk():
            worker.go()
            self._await(lambda: any("away" in str(self._status(one)) for one in self._workers), 20, "away is said")
            time.sleep(self._chance.random())

    def _store_kill(self, worker: Worker) -> None:
        self._meet(worker)

    def _broker_kill(self, worker: Worker) -> None:
        self._meet(worker)

    def _meet(self, worker: Worker) -> None:
        assert self._wave is not None
        self._wave.meet(worker.go)
        time.sleep(self._chance.random())

    # -- the end

    def _finish(self) -> None:
        self._patiently(lambda: self._send(closing=True))
        ends: dict[int, int] = {}
        while self._wanted() != ends:  # a worker tells of its version set, in the log itself
            ends = self._await_all_sealed()
            for worker in self._living():
                worker.signal(signal.SIGTERM)
            for worker in self._workers:
                worker.await_end(15)
        promises = Promises(self._settings.kafka, self._bench.calm, self._admin, self._reader, self._writer)
        checked = self._patiently(lambda: promises.check(ends, recreated=self._plan.recreates_topic))
        self.outcome.offsets, self.outcome.alerts = checked.offsets, checked.alerts

    def _await_all_sealed(self) -> dict[int, int]:
        """Returns the log's ends once all below them is sealed."""
        deadline = time.monotonic() + _QUIET_S
        while (sealed := self._sealed()) != (ends := self._wanted()):
            if not self._living():
                self._start()
            states = [self._status(one) for one in self._workers]
            words = "\n".join(one.last_words() for one in self._workers)
            assert time.monotonic() < deadline, f"sealed {sealed} of {ends}\nstates: {states}\n{words}"
            time.sleep(_POLL_S)
        return ends

    def _status(self, worker: Worker) -> Any:
        found = read_workers(worker.folder / "run")
        if not found:
            return "no status"
        return [(one["partition"], one["state"], one["code"], one["sealed_offset"]) for one in found[-1]["partitions"]]

    def _wanted(self) -> dict[int, int]:
        ends: dict[int, int] = self._patiently(self._ends)
        return ends

    def _ends(self) -> dict[int, int]:
        found = self._admin.partition_bounds(self.topic, range(self._settings.kafka.partitions))
        return {partition: bounds.end_offset for partition, bounds in found.items() if bounds.end_offset}

    def _sealed(self) -> dict[int, int]:
        """Next offset of every partition of the present life."""
        if not self._life:
            facts = self._patiently(lambda: self._admin.describe(self.topic))
            assert facts is not None
            self._life = facts.topic_id
        sql = (
            "SELECT partition, max(last_offset) + 1 FROM accesstrail.ledger WHERE topic = {t:String} "
            "AND incarnation = {i:String} GROUP BY partition"
        )
        return dict(self._patiently(lambda: self._reader.query(sql, {"t": self.topic, "i": self._life})))

    def _await(self, ready: Callable[[], bool], timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not self._patiently(ready):
            words = "\n".join(one.last_words() for one in self._workers)
            assert time.monotonic() < deadline, f"waited in vain: {what}\n{words}"
            time.sleep(_POLL_S)
