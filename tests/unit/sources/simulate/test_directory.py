"""The directory folder of a simulated company keeps the contract and loads without a fault."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import pytest

from pipeline.adapters.directory import read_directory
from pipeline.privacy.keys import Keyring
from pipeline.sources.simulate import Simulation, draw_company, write_directory
from pipeline.sources.simulate.machines import extend_contract

COLUMNS = {
    "actors.csv": "actor_id actor_type org department role manager_id site hired_on leaves_on status mfa_required "
    "own_subject_ids",
    "networks.csv": "cidr kind site country city",
    "sites.csv": "site country city latitude longitude time_zone",
    "resources.csv": "resource_type data_categories sensitivity owner_department ids",
    "subjects.csv": "subject_id region flags household",
    "sources.csv": "source_system source_instance max_silence_s owner",
    "partners.csv": "org contract_id resource_types purposes daily_subject_limit valid_from valid_to",
    "purposes.csv": "purpose departments resource_types legal_basis",
}


@pytest.mark.parametrize(("seed", "actors"), [(1, 10), (2, 60), (3, 120), (4, 60), (5, 60)])
def test_a_run_writes_a_directory_that_loads(tmp_path: Path, seed: int, actors: int) -> None:
    simulation = Simulation(draw_company(seed, actors), date(2026, 8, 31), 8, 1, attacks_per_scenario=1)
    events = sum(1 for _ in simulation.events())
    write_directory(simulation.company, tmp_path, simulation.desk.work_items)
    snapshot = read_directory(tmp_path, Keyring.offline())
    assert events > actors
    assert len(snapshot.actors) > actors * 0.8
    for name, columns in COLUMNS.items():
        with (tmp_path / name).open(encoding="utf-8") as file:
            assert next(csv.reader(file)) == columns.split()
    items = [json.loads(line) for line in (tmp_path / "work_items.ndjson").read_text(encoding="utf-8").splitlines()]
    assert items
    fields = {"case_ref", "actor_id", "subject_id", "kind", "opened_at", "closed_at"}
    assert all(set(item) == fields for item in items)


def test_some_companies_do_not_know_all_their_accounts() -> None:
    unknown = [sum(not one.in_directory for one in draw_company(seed, 200).people) for seed in range(12)]
    assert any(unknown)
    assert not all(unknown)


def test_two_larger_contracts_of_one_day_are_two_contracts(tmp_path: Path) -> None:
    company, day = draw_company(5, 120), date(2026, 9, 9)
    org = company.contracts[0].org
    for limit in (900, 1_800, 2_700):
        extend_contract(company, org, day, 2, limit)
    write_directory(company, tmp_path, [])
    snapshot = read_directory(tmp_path, Keyring.offline())
    assert {900, 1_800, 2_700} <= {one.daily_subject_limit for one in snapshot.partners}
