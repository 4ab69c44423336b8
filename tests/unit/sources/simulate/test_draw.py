"""Companies of any allowed size can be drawn, their addresses are addresses, and no two look alike."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from pipeline.sources.simulate import Company, draw_company
from pipeline.sources.simulate.directory import networks as known_networks


@pytest.mark.parametrize("actors", [10, 400, 20_000])
def test_networks_are_valid_and_partners_do_not_share_one(actors: int) -> None:
    company = draw_company(3, actors)
    networks = [str(row[0]) for row in known_networks(company)]
    assert len({ip_network(network) for network in networks}) == len(networks)
    for actor in company.actors:
        ip_network(f"{actor.home_prefix}.0/24")


@pytest.mark.parametrize("actors", [10, 57, 400])
def test_a_company_has_the_accounts_that_were_asked_for_each_once(actors: int) -> None:
    company = draw_company(9, actors)
    assert abs(len(company.actors) - actors) <= 2
    assert len({one.actor_id for one in company.actors}) == len(company.actors)
    assert len({one.number for one in company.actors}) == len(company.actors)


def test_the_same_seed_and_size_give_the_same_company() -> None:
    assert draw_company(3, 80) == draw_company(3, 80)
    assert draw_company(3, 80) != draw_company(4, 80)


def spread(values: list[float]) -> float:
    return max(values) / max(min(values), 1e-9)


def largest_share(company: Company) -> float:
    sizes = [sum(one.department is department for one in company.people) for department in company.departments]
    return max(sizes) / len(company.people)


def test_companies_differ_in_every_way_that_is_promised() -> None:
    companies: list[Company] = [draw_company(seed, 300) for seed in range(16)]
    departments = [one for company in companies for one in company.departments]
    assert len({company.trade for company in companies}) >= 4
    assert {one.shift for one in departments} == {"day", "night", "rotating", "seven", "oncall"}
    assert len({frozenset(one.name for one in company.departments) for company in companies}) == len(companies)
    assert len({len(company.sites) for company in companies}) >= 3
    assert any(len({site.time_zone for site in company.sites}) > 1 for company in companies)
    discipline = [one.ticket_discipline for one in departments]
    assert min(discipline) < 0.4
    assert max(discipline) > 0.95
    delays = [one.ticket_delay_s for one in departments]
    assert min(delays) < 600
    assert max(delays) > 20_000
    assert spread([sum(one.unmask_rate for one in company.departments) for company in companies]) > 3
    assert spread([float(len(company.customers)) for company in companies]) > 2
    assert {company.consecutive_ids for company in companies} == {True, False}
    assert {company.network.home_through_vpn for company in companies} == {True, False}
    assert any(source.never_sends for company in companies for source in company.sources.values())
    assert any(source.skew_ms for company in companies for source in company.sources.values())
    assert len({company.habits.late_share for company in companies}) > 1
    assert spread([largest_share(company) for company in companies]) > 1.3
