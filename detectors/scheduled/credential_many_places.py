"""Scheduled detector credential_many_places: one credential, used in turn from several devices, networks or countries.

State is keyed by the credential; accounts without one by their session. What tells sharing from moving house is
*turns*: how often the place changes from one access to the next within an hour. Compared with the largest hour of the
28 days before, so that a service that always runs on many machines, or a person with two devices, is its own measure.
"""

from __future__ import annotations

from detectors.scheduled.base import Cadence, Row, ScheduledDetector, Verdict, Words, beyond, numbers_of
from detectors.scheduled.sql import EVENT, HOUR_SLOT, IN_SLOTS, NETWORK, NO_TOKEN, PICKED, ROWS

TURNS = 4
PLACES = 3
_KEPT = 2000

_TURNS = "arrayCount((a, b) -> a != b AND a != 0 AND b != 0, arrayPopBack({one}), arrayPopFront({one}))"
_BEFORE = "ORDER BY slot RANGE BETWEEN 672 PRECEDING AND 1 PRECEDING"
_OWNER = f"if(credential_token != {NO_TOKEN}, credential_token, actor_token)"

_SQL = f"""SELECT tenant_id, slot, lower(hex(credential)) AS key, is_session, devices, places, countries, device_turns,
    place_turns, country_turns, toFloat64(devices_before) AS devices_usual, toFloat64(places_before) AS places_usual,
    toFloat64(countries_before) AS countries_usual, hours_before, {PICKED}
FROM (
    SELECT *, max(devices) OVER before AS devices_before, max(places) OVER before AS places_before,
        max(countries) OVER before AS countries_before, count() OVER before AS hours_before
    FROM (
        SELECT tenant_id, slot, credential, max(of_session) AS is_session, max(devices) AS devices, max(places) AS places,
            max(countries) AS countries, max(device_turns) AS device_turns, max(place_turns) AS place_turns,
            max(country_turns) AS country_turns, min(event) AS picked
        FROM (
            SELECT tenant_id, slot, credential, session, max(session_only) AS of_session,
                arraySlice(arraySort(groupArray((event_time, event_id, device, network, country))), 1, {_KEPT}) AS uses,
                arrayMap(one -> one.3, uses) AS device_list, arrayMap(one -> one.4, uses) AS place_list,
                arrayMap(one -> one.5, uses) AS country_list,
                toInt64(length(arrayDistinct(arrayFilter(one -> one != 0, device_list)))) AS devices,
                toInt64(length(arrayDistinct(arrayFilter(one -> one != 0, place_list)))) AS places,
                toInt64(length(arrayDistinct(arrayFilter(one -> one != 0, country_list)))) AS countries,
                {_TURNS.format(one="device_list")} AS device_turns, {_TURNS.format(one="place_list")} AS place_turns,
                {_TURNS.format(one="country_list")} AS country_turns, min(one_event) AS event
            FROM (
                SELECT tenant_id, {HOUR_SLOT} AS slot, {_OWNER} AS credential, credential_token = {NO_TOKEN} AS session_only,
                    if(session_only, session_token, {NO_TOKEN}) AS session, event_time, event_id,
                    if(device_token = {NO_TOKEN}, 0, cityHash64(device_token)) AS device,
                    if(src_ip = toIPv6('::'), 0, cityHash64({NETWORK})) AS network,
                    if(src_country = '', 0, cityHash64(src_country)) AS country, {EVENT} AS one_event
                {ROWS} AND outcome = 'success' AND action != 'log_control'
                    AND (credential_token != {NO_TOKEN} OR session_token != {NO_TOKEN})
            )
            GROUP BY tenant_id, slot, credential, session
        )
        GROUP BY tenant_id, slot, credential
    )
    WINDOW before AS (PARTITION BY tenant_id, credential {_BEFORE})
)
WHERE {IN_SLOTS} AND (device_turns >= {TURNS} OR place_turns >= {TURNS} OR country_turns >= 2)"""


def _judge(row: Row) -> Verdict | None:
    """Two countries in turn; a session on two devices in turn; a credential from many more places than ever."""
    numbers = numbers_of(row)
    if numbers["countries"] > max(1, numbers["countries_usual"]) and numbers["country_turns"] >= 2:
        return Verdict(
            beyond(numbers["country_turns"], 2, floor=8500, doubling=400),
            Words(
                "used from {countries} countries within an hour, changing {country_turns} times. "
                "At most {countries_usual} in any hour of the 28 days before.",
                "一小时内在 {countries} 个国家使用，来回切换 {country_turns} 次。此前 28 天任一小时最多 {countries_usual} 个。",
            ),
            numbers,
        )
    # A second phone is an everyday thing; one session on two devices in turn, or three devices, is none.
    shared = numbers["devices"] >= (2 if numbers["is_session"] else 3)
    if shared and numbers["devices"] > max(1, numbers["devices_usual"]) and numbers["device_turns"] >= TURNS:
        return Verdict(
            beyond(numbers["device_turns"], TURNS, floor=7500, doubling=500),
            Words(
                "used from {devices} devices in turn within an hour, changing {device_turns} times. "
                "At most {devices_usual} in any hour of the 28 days before.",
                "一小时内在 {devices} 台设备上交替使用，切换 {device_turns} 次。此前 28 天任一小时最多 {devices_usual} 台。",
            ),
            numbers,
        )
    many = numbers["places"] >= max(PLACES, numbers["places_usual"] + 2) and numbers["place_turns"] >= TURNS
    if many and numbers["hours_before"] >= 24:
        return Verdict(
            beyond(numbers["places"], max(PLACES, numbers["places_usual"] + 2), floor=7500),
            Words(
                "used from {places} networks in turn within an hour, changing {place_turns} times. "
                "At most {places_usual} in any hour of the 28 days before.",
                "一小时内在 {places} 个网络交替使用，切换 {place_turns} 次。此前 28 天任一小时最多 {places_usual} 个。",
            ),
            numbers,
        )
    return None


CREDENTIAL_MANY_PLACES = ScheduledDetector(
    name="credential_many_places",
    scenarios=("D08", "D13"),
    attack_ids=("T1078", "T1550.001", "T1539"),
    articles=("pipl-51", "csl-21"),
    state_key="credential",
    cadence=Cadence(unit="hour", lateness_s=900, history_days=28, quiet_slots=7 * 24, early_s=300),
    cold_start=Words(
        "Devices and countries count from the first hour; many networks only after 24 active hours of the credential.",
        "设备与国家首小时即生效；多网络条件须该凭据活跃满 24 小时。",
    ),
    title=Words("One credential in several places", "同一凭据多处使用"),
    next_step=Words(
        "end the credential's sessions, renew it, and ask its owner who else has it.",
        "终止该凭据的会话并更换，询问所有者是否与他人共用。",
    ),
    runbook=Words(
        "Check: the hour's accesses by device and network, in order. Contain: end the sessions, renew the secret. Ask: "
        "the owner by phone, not by mail.",
        "核查：按时间顺序列出该小时内的设备与网络。控制：终止会话、更换密钥。询问：电话联系所有者，勿用邮件。",
    ),
    sql=_SQL,
    judge=_judge,
    look_alikes=("a journey from office to home", "a VPN whose egress changes", "a service on many machines"),
)  # fmt: skip
