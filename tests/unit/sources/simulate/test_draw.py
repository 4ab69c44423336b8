"""A simulated company of any allowed size has addresses that are addresses."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from pipeline.sources.simulate import draw_company
from pipeline.sources.simulate.directory import networks as known_networks


@pytest.mark.parametrize("actors", [10, 400, 20_000])
def test_networks_are_valid_and_partners_do_not_share_one(actors: int) -> None:
    company = draw_company(3, actors)
    networks = [str(row[0]) for row in known_networks(company)]
    assert len({ip_network(network) for network in networks}) == len(networks)
    for actor in company.actors:
        ip_network(f"{actor.home_prefix}.0/24")
