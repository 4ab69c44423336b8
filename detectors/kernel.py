"""The compiled features: one pass over a batch that judges each event by what is known of its actor, then learns it.

Place in the flow: called by `features.compute`; names, units and reasons stand in `features.FEATURES`. Features of an
event use the actor's state before it plus the event itself; habits (hours, networks, devices, actions, own levels) are
those of the days *before* today, so that a burst stays strange to its end and teaches no more than one day. Only event
time counts. A late event (more than 10 minutes behind the actor's newest) is judged but moves nothing.
An access is *open* while neither a work item explains it nor an approval covers it; today's totals count open accesses,
so that a busy day of ordinary work stays ordinary (totals of everything stand beside them: customers, records, queries
of the audit log). Drift-safe: a day teaches an actor's level at most two of its own deviations upwards (from the sixth
day on). Only the size of single accesses and the share of customers elsewhere are learnt access by access (a size at
most three deviations upwards, from the 21st on): a long burst becomes usual in them, never in the day's totals.

One file, however long: numba keeps a compiled function until *its own* file changes. In several files a change of one
would leave callers that were compiled with the old one, unnoticed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.base import F32, NO_LOCATION
from detectors.profile import ACTION_CODES, CHANNEL_CODES, DAY_BITMAP_WORDS, HOUR_BITMAP_WORDS, RING_DAYS
from pipeline.compiled import compiled

ORDER = (
    "hour_rarity", "gap_days", "records", "records_own", "bytes", "events_10m", "subjects_1h", "subjects_day",
    "subjects_day_own", "exposure_day", "records_day", "records_day_own", "exported_day", "unmasked_day",
    "unmasked_day_own", "unexplained_day", "records_week", "subjects_week", "new_network", "new_device", "new_country",
    "new_agent", "rare_resource", "rare_action", "travel", "denied_10m", "repeat_subject", "vip_day", "sequence",
    "device_turns", "off_region", "external_day", "subjects_1h_own", "exported_day_own", "unexplained_day_own",
    "rare_channel", "searches_day", "changes_day", "audit_day", "network_turns", "unexplained_2w", "subjects_2w",
    "return_visits", "all_subjects_day", "all_records_day", "slow_rise",
)  # fmt: skip
"""The columns of the features; the constants below are their places."""
(
    HOUR_RARITY, GAP_DAYS, RECORDS, RECORDS_OWN, BYTES, EVENTS_10M, SUBJECTS_1H, SUBJECTS_DAY,
    SUBJECTS_DAY_OWN, EXPOSURE_DAY, RECORDS_DAY, RECORDS_DAY_OWN, EXPORTED_DAY, UNMASKED_DAY,
    UNMASKED_DAY_OWN, UNEXPLAINED_DAY, RECORDS_WEEK, SUBJECTS_WEEK, NEW_NETWORK, NEW_DEVICE, NEW_COUNTRY,
    NEW_AGENT, RARE_RESOURCE, RARE_ACTION, TRAVEL, DENIED_10M, REPEAT_SUBJECT, VIP_DAY, SEQUENCE,
    DEVICE_TURNS, OFF_REGION, EXTERNAL_DAY, SUBJECTS_1H_OWN, EXPORTED_DAY_OWN, UNEXPLAINED_DAY_OWN,
    RARE_CHANNEL, SEARCHES_DAY, CHANGES_DAY, AUDIT_DAY, NETWORK_TURNS, UNEXPLAINED_2W, SUBJECTS_2W,
    RETURN_VISITS, ALL_SUBJECTS_DAY, ALL_RECORDS_DAY, SLOW_RISE,
) = range(len(ORDER))  # fmt: skip
# Places in `profile.DAY_MEASURES`
(
    SUBJECTS, EXPOSURE, TAKEN, EXPORTED, UNMASKED, UNEXPLAINED, VIP, EXTERNAL, SEARCHES, CHANGES, AUDIT, BUSIEST,
    ALL_SUBJECTS, ALL_TAKEN,
) = range(14)  # fmt: skip

EVENT = np.dtype(
    [
        ("slot", "<i8"),
        ("time_us", "<i8"),
        ("subjects_from", "<i8"),
        ("subjects_to", "<i8"),
        ("subject_count", "<i8"),
        ("records", "<i8"),
        ("bytes_out", "<i8"),
        ("resource_type", "<u8"),
        ("ip_prefix", "<u8"),
        ("device", "<u8"),
        ("user_agent", "<u8"),
        ("local_day", "<i4"),
        ("holidays", "<i4"),
        ("latitude", "<f4"),
        ("longitude", "<f4"),
        ("sequence", "<u4"),
        ("country", "<u2"),
        ("vip_subjects", "<u2"),
        ("scorable", "u1"),
        ("local_hour", "u1"),
        ("day_kind", "u1"),
        ("channel", "u1"),
        ("action", "u1"),
        ("outcome", "u1"),
        ("sensitivity", "u1"),
        ("unmasked", "u1"),
        ("external", "u1"),
        ("explained", "u1"),
        ("approved", "u1"),
        ("network_kind", "u1"),
        ("own_subject", "u1"),
        ("off_region", "u1"),
    ]
)
"""What the features read of one event, side by side: one line of cache instead of thirty."""

# Codes of `pipeline.events`, checked against it by a test
SUCCESS, DENIED, IS_EXPLAINED = 1, 2, 1
WORKDAY, MAKE_UP_WORKDAY = 1, 3
VPN, CLOUD = 2, 4
SEARCH, UPDATE, DELETE, FIRST_EXPORT, LAST_EXPORT, AUDIT_QUERY, AUDIT_EXPORT = 2, 5, 6, 7, 10, 17, 18

HOUR_BITS, DAY_BITS = 64 * HOUR_BITMAP_WORDS, 64 * DAY_BITMAP_WORDS
_MINUTE_US = 60_000_000
_DAY_US = 86_400_000_000
_LATE_US = 10 * _MINUTE_US
_EARTH_KM = 6371.0
_FORGET_DAYS = 120.0
_VISIT_MINUTES = 120
_AT_ONCE = 4
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@compiled
def _key(value: np.uint64) -> np.uint32:
    """32 mixed bits of a hash; 0 only for an absent value."""
    if value == 0:
        return np.uint32(0)
    mixed = np.uint32((value * _GOLDEN) >> np.uint64(32))
    return mixed if mixed != 0 else np.uint32(1)


@compiled
def _stamp(day: int) -> np.uint16:
    """A day since 1970 as 16 bits (to 2149)."""
    return np.uint16(max(0, day) & 0xFFFF)


@compiled
def _days_used(
    keys: npt.NDArray[np.uint32], days: npt.NDArray[np.uint16], last: npt.NDArray[np.uint16], key: np.uint32, today: int
) -> float:
    """On how many days before today it was used."""
    for j in range(keys.shape[0]):
        if keys[j] == key:
            used: float = days[j] - 1.0 if last[j] == _stamp(today) and days[j] > 0 else float(days[j])
            return used
    return 0.0


@compiled
def _use(
    keys: npt.NDArray[np.uint32], days: npt.NDArray[np.uint16], last: npt.NDArray[np.uint16], key: np.uint32, today: int
) -> None:
    """Counts a day of use; a full table gives up what was used on the fewest days, of those the longest ago."""
    if key == 0:
        return
    stamp, least = _stamp(today), 0
    for j in range(keys.shape[0]):
        if keys[j] == key:
            if last[j] != stamp:
                days[j] += np.uint16(1)
                last[j] = stamp
            return
        if days[j] < days[least] or (days[j] == days[least] and last[j] < last[least]):
            least = j
    keys[least], days[least], last[least] = key, np.uint16(1), stamp


@compiled
def _novelty(s: Any, days_used: float, key: np.uint32) -> float:
    """1 / (1 + days of use before today), damped while the account itself is new; 0 where the value is absent."""
    if key == 0:
        return 0.0
    novelty: float = 1.0 / (1.0 + days_used) * s.known_days / (s.known_days + 3.0)
    return novelty


@compiled
def _rarity(s: Any, days_used: float) -> float:
    """−log2 of the smoothed share of the active days on which it was used, damped while the account is new."""
    rarity = -math.log2((days_used + 0.5) / (s.known_days + 1.0))
    damped: float = max(0.0, rarity) * s.known_days / (s.known_days + 5.0)
    return damped


@compiled
def _distinct(ones: int, size: int) -> float:
    """Distinct count by linear counting (Whang, Vander-Zanden, Taylor 1990)."""
    return float(size * math.log(size / max(1, size - ones)))


@compiled
def _distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance (haversine)."""
    p1, p2 = math.radians(lat1), math.radians(lat2)
    a = math.sin((p2 - p1) / 2) ** 2 + math.cos(p1) * math.cos(p2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, a)))


@compiled
def _turn_day(s: Any, e: Any) -> None:
    """The first event of a later day closes the day before it, and any long pause."""
    if s.events == 0:
        s.first_day = s.day = e.local_day
        s.newest_us, s.newest_holidays = e.time_us, e.holidays
        s.last_latitude = NO_LOCATION
        s.is_off_day = e.day_kind != WORKDAY and e.day_kind != MAKE_UP_WORKDAY
        return
    if e.local_day <= s.day:
        return
    # Whole companies come back from a week of public holidays on one morning: that is no silence.
    gap = (e.time_us - s.newest_us) / _DAY_US - max(0, e.holidays - s.newest_holidays)
    if gap > 3.0:
        s.gap_days = gap
        s.gap_until_us = e.time_us + _DAY_US
    _learn_levels(s)
    _learn_habits(s)
    _turn_rings(s, e.local_day)
    s.active_days += 1
    s.day = e.local_day
    s.is_off_day = e.day_kind != WORKDAY and e.day_kind != MAKE_UP_WORKDAY


@compiled
def _learn_levels(s: Any) -> None:
    """The finished day moves the actor's own levels: upwards no further than two of its own deviations."""
    _learn_rise(s)
    weight = 1.0 / min(s.active_days + 1.0, 30.0)
    for m in range(s.today.shape[0]):
        level = math.log1p(s.today[m])
        if s.active_days >= 5:
            level = min(level, s.day_mean[m] + 2.0 * (math.sqrt(s.day_var[m]) + 0.4))
        delta = level - s.day_mean[m]
        s.day_mean[m] += weight * delta
        s.day_var[m] = (1.0 - weight) * (s.day_var[m] + weight * delta * delta)  # never below 0, whatever is rounded
        s.today[m] = 0.0
    for scope in range(2):
        s.unlisted_subjects[scope] = 0.0
        s.day_ones[scope] = 0
        for j in range(s.day_bits.shape[1]):
            s.day_bits[scope, j] = 0


@compiled
def _risen(s: Any, place: int, measure: int) -> float:
    """The sum of small rises with today's total: Page's one-sided CUSUM, a day worth two deviations less a quarter."""
    if s.active_days < 5:
        return 0.0
    deviation = (math.log1p(s.today[measure]) - s.day_mean[measure]) / (math.sqrt(s.day_var[measure]) + 0.4)
    risen: float = max(0.0, s.rises[place] + min(deviation, 2.0) - 0.25)
    return risen


@compiled
def _learn_rise(s: Any) -> None:
    """The finished day moves the sums of small rises."""
    rises = _risen(s, 0, SUBJECTS), _risen(s, 1, TAKEN), _risen(s, 2, UNMASKED)
    s.rises[0], s.rises[1], s.rises[2] = rises


@compiled
def _halve(days: npt.NDArray[np.uint16]) -> None:
    for j in range(days.shape[0]):
        days[j] >>= np.uint16(1)


@compiled
def _learn_habits(s: Any) -> None:
    """Hours, actions and channels of the finished day count as used on one day more; old days slowly fade."""
    base = 24 if s.is_off_day else 0
    for hour in range(24):
        s.hours[base + hour] += np.uint16((s.hours_today >> np.uint32(hour)) & np.uint32(1))
    for j in range(ACTION_CODES):
        s.actions[j] += np.uint16((s.actions_today >> np.uint32(j)) & np.uint32(1))
    for j in range(CHANNEL_CODES):
        s.channels[j] += np.uint16((s.channels_today >> np.uint32(j)) & np.uint32(1))
    s.hours_today = s.actions_today = s.channels_today = 0
    s.known_days += 1.0
    if s.known_days < _FORGET_DAYS:
        return
    s.known_days *= 0.5
    _halve(s.hours)
    _halve(s.actions)
    _halve(s.channels)
    _halve(s.prefix_days)
    _halve(s.device_days)
    _halve(s.country_days)
    _halve(s.agent_days)
    _halve(s.resource_days)


@compiled
def _past(ring: npt.NDArray[np.float32], day: int, first: int, last: int) -> float:
    """Sum over the days from `first` to `last` days before `day`."""
    total = 0.0
    for back in range(first, last + 1):
        total += ring[(day - back) % RING_DAYS]
    return total


@compiled
def _turn_rings(s: Any, day: int) -> None:
    """Empties the days that passed without a trace and sums up the closed ones once, for all events of the new day."""
    for step in range(1, min(day - s.day, RING_DAYS) + 1):
        place = (s.day + step) % RING_DAYS
        s.ring_records[place] = s.ring_subjects[place] = s.ring_unexplained[place] = 0.0
    s.past_records[0], s.past_records[1] = _past(s.ring_records, day, 1, 6), _past(s.ring_records, day, 7, 34)
    s.past_subjects[0], s.past_subjects[1] = _past(s.ring_subjects, day, 1, 6), _past(s.ring_subjects, day, 7, 34)
    s.past_subjects[2], s.past_unexplained = _past(s.ring_subjects, day, 1, 13), _past(s.ring_unexplained, day, 1, 13)


@compiled
def _elapsed_s(s: Any, e: Any) -> float:
    """Seconds since the actor's newest event."""
    return max(0.0, (e.time_us - s.newest_us) / 1e6) if s.events > 0 else 0.0


@compiled
def _taken(e: Any) -> float:
    """Records that the access gave."""
    return float(e.records) if e.outcome == SUCCESS else 0.0


@compiled
def _is_export(e: Any) -> bool:
    return bool(FIRST_EXPORT <= e.action <= LAST_EXPORT)


@compiled
def _is_open(e: Any) -> bool:
    """Whether neither a work item nor an approval accounts for the access."""
    return bool(e.explained != IS_EXPLAINED and e.approved == 0)


@compiled
def _habits(s: Any, e: Any, i: int, late: bool, out: F32, usual: F32, spread: F32) -> None:
    """Time of day, pause, size; actions, channels, kinds of data."""
    base, hour = 24 if e.day_kind != WORKDAY and e.day_kind != MAKE_UP_WORKDAY else 0, int(e.local_hour)
    near = max(s.hours[base + (hour + 23) % 24], s.hours[base + (hour + 1) % 24]) * 0.5
    out[i, HOUR_RARITY] = _rarity(s, max(float(s.hours[base + hour]), near))
    out[i, GAP_DAYS] = math.log1p(s.gap_days) if not late and e.time_us < s.gap_until_us else 0.0
    size, kind = math.log1p(_taken(e)), 1 if _is_export(e) else 0
    if _is_open(e):
        out[i, RECORDS] = size
        deviation = (size - s.size_mean[kind]) / (math.sqrt(s.size_var[kind]) + 0.3)
        out[i, RECORDS_OWN] = max(0.0, deviation) * s.size_n[kind] / (s.size_n[kind] + 20.0)
        out[i, BYTES] = math.log1p(max(0.0, float(e.bytes_out))) if e.outcome == SUCCESS else 0.0
    if s.size_n[kind] > 0:
        usual[i, RECORDS_OWN], spread[i, RECORDS_OWN] = s.size_mean[kind], math.sqrt(s.size_var[kind])
    out[i, RARE_ACTION] = _rarity(s, float(s.actions[e.action]))
    out[i, RARE_CHANNEL] = _rarity(s, float(s.channels[e.channel])) if e.channel != 0 else 0.0
    key = _key(e.resource_type)
    used = _days_used(s.resource_keys, s.resource_days, s.resource_last, key, s.day)
    out[i, RARE_RESOURCE] = _rarity(s, used) if key != 0 else 0.0


@compiled
def _news(s: Any, e: Any, i: int, out: F32) -> None:
    """Where from and with what, that this account never or rarely used."""
    key = _key(e.ip_prefix)
    out[i, NEW_NETWORK] = _novelty(s, _days_used(s.prefix_keys, s.prefix_days, s.prefix_last, key, s.day), key)
    key = _key(e.device)
    out[i, NEW_DEVICE] = _novelty(s, _days_used(s.device_keys, s.device_days, s.device_last, key, s.day), key)
    key = _key(np.uint64(e.country))
    out[i, NEW_COUNTRY] = _novelty(s, _days_used(s.country_keys, s.country_days, s.country_last, key, s.day), key)
    key = _key(e.user_agent)
    out[i, NEW_AGENT] = _novelty(s, _days_used(s.agent_keys, s.agent_days, s.agent_last, key, s.day), key)


@compiled
def _is_placed(e: Any) -> bool:
    """Whether somebody sits where the address is: behind a VPN or a cloud, nobody does."""
    return bool(e.latitude != NO_LOCATION and e.network_kind != VPN and e.network_kind != CLOUD)


@compiled
def _speed(s: Any, e: Any) -> float:
    """km/h since the last place; 0 within 100 km. Less than 3 minutes count as 3."""
    if s.last_latitude == NO_LOCATION or not _is_placed(e):
        return 0.0
    km = _distance_km(s.last_latitude, s.last_longitude, e.latitude, e.longitude)
    return km / max((e.time_us - s.last_place_us) / 3.6e9, 0.05) if km > 100.0 else 0.0


@compiled
def _steps(s: Any, e: Any) -> np.uint32:
    """The last 20 steps from one number to the next, this one's included, a bit each: was it in order?"""
    if s.last_sequence == 0 or e.sequence == 0:
        return np.uint32(s.sequence_bits)
    step = np.uint32(e.sequence - s.last_sequence)
    return np.uint32((s.sequence_bits << np.uint32(1)) | np.uint32(1 if step == 1 or step == 2 else 0))


@compiled
def _ones(word: np.uint32) -> int:
    count = 0
    while word:
        word &= word - np.uint32(1)
        count += 1
    return count


@compiled
def _pace(s: Any, e: Any, i: int, late: bool, out: F32) -> None:
    """Rates, changes of device and network, journeys, order, region; a late event moves none of them."""
    elapsed_s, device, network = _elapsed_s(s, e), _key(e.device), _key(e.ip_prefix)
    rate = s.rate_10m * math.exp(-elapsed_s / 600.0) + 1.0
    denied = s.denied_10m * math.exp(-elapsed_s / 600.0) + (1.0 if e.outcome == DENIED else 0.0)
    fade = math.exp(-elapsed_s / 1800.0)
    device_turns, network_turns = s.device_turns * fade, s.network_turns * fade
    if elapsed_s < 1800.0 and not late:
        device_turns += 1.0 if device != 0 and s.last_device != 0 and device != s.last_device else 0.0
        network_turns += 1.0 if network != 0 and s.last_network != 0 and network != s.last_network else 0.0
    speed, steps = 0.0 if late else _speed(s, e), _steps(s, e)
    region = s.off_region_fast + 0.1 * (e.off_region - s.off_region_fast)
    out[i, EVENTS_10M], out[i, DENIED_10M] = math.log1p(rate), math.log1p(denied)
    out[i, DEVICE_TURNS], out[i, NETWORK_TURNS] = math.log1p(device_turns), math.log1p(network_turns)
    out[i, TRAVEL] = math.log1p(speed) if speed > 300.0 else 0.0
    out[i, SEQUENCE] = _ones(steps & np.uint32(0xFFFFF)) / 20.0
    out[i, OFF_REGION] = max(0.0, region - s.off_region_slow) * s.events / (s.events + 50.0)
    if late:
        return
    s.rate_10m, s.denied_10m, s.device_turns, s.network_turns = rate, denied, device_turns, network_turns
    s.last_device = device if device != 0 else s.last_device
    s.last_network = network if network != 0 else s.last_network
    s.sequence_bits = steps
    s.last_sequence = e.sequence if e.sequence != 0 else s.last_sequence
    s.off_region_fast = region
    s.off_region_slow += 0.005 * (e.off_region - s.off_region_slow)


@compiled
def _look(s: Any, key: np.uint32, minute: int) -> tuple[float, float]:
    """Looks at one subject in about 7 days and separate visits in about 14; the table gives up the least visited."""
    least, least_worth = 0, 1e9
    for j in range(s.subject_keys.shape[0]):
        passed = minute - s.subject_minutes[j]
        if s.subject_keys[j] == key:
            days = max(0, passed) / 1440.0
            s.subject_looks[j] = s.subject_looks[j] * math.exp(-days / 7.0) + 1.0
            s.subject_visits[j] = s.subject_visits[j] * math.exp(-days / 14.0) + (
                1.0 if passed >= _VISIT_MINUTES else 0.0
            )
            s.subject_minutes[j] = max(s.subject_minutes[j], minute)
            return float(s.subject_looks[j]), float(s.subject_visits[j])
        worth = s.subject_visits[j] - passed / 10_080.0 if s.subject_keys[j] != 0 else -1e6
        if worth < least_worth:
            least, least_worth = j, worth
    s.subject_keys[least], s.subject_minutes[least] = key, minute
    s.subject_looks[least] = s.subject_visits[least] = 1.0
    return 1.0, 1.0


@compiled
def _looks(s: Any, e: Any, i: int, subjects: npt.NDArray[np.uint64], out: F32) -> None:
    """Repeated looks at one subject without a reason; long lists are pages, not looks at a person."""
    touched = max(e.subjects_to - e.subjects_from, e.subject_count)
    if not _is_open(e) or e.own_subject != 0 or e.outcome != SUCCESS or touched > _AT_ONCE:
        return
    looks, visits = 0.0, 0.0
    for k in range(e.subjects_from, e.subjects_to):
        again = False
        for before in range(e.subjects_from, k):
            again = again or subjects[before] == subjects[k]
        key = _key(subjects[k])
        if key != 0 and not again:
            look, visit = _look(s, key, e.time_us // _MINUTE_US)
            looks, visits = max(looks, look), max(visits, visit)
    out[i, REPEAT_SUBJECT], out[i, RETURN_VISITS] = math.log1p(looks), math.log1p(max(0.0, visits - 1.0))


@compiled
def _mark_hour(s: Any, mixed: np.uint64) -> None:
    """Marks a subject in the bitmap of the hour."""
    word, bit = (mixed >> np.uint64(58)) & np.uint64(15), np.uint64(1) << (mixed & np.uint64(63))
    if s.hour_bits[word] & bit == 0:
        s.hour_bits[word] |= bit
        s.hour_ones += 1


@compiled
def _mark_day(s: Any, scope: int, mixed: np.uint64) -> None:
    """Marks a subject in one bitmap of the day."""
    word, bit = (mixed >> np.uint64(50)) & np.uint64(31), np.uint64(1) << ((mixed >> np.uint64(8)) & np.uint64(63))
    if s.day_bits[scope, word] & bit == 0:
        s.day_bits[scope, word] |= bit
        s.day_ones[scope] += 1


@compiled
def _count(s: Any, e: Any, subjects: npt.NDArray[np.uint64]) -> None:
    """Today's totals, this event included. They are those of `s.day`: an event from before midnight may come later."""
    hour_mark = e.local_day * 24 + e.local_hour
    # An event of the hour before belongs to the hour that runs; a clock further back is another time zone's.
    if hour_mark > s.hour_mark or hour_mark < s.hour_mark - 1 or s.events == 0:
        s.hour_mark = hour_mark
        s.hour_ones = 0
        for j in range(s.hour_bits.shape[0]):
            s.hour_bits[j] = 0
    is_open, taken = _is_open(e), _taken(e)
    for k in range(e.subjects_from, e.subjects_to):
        mixed = subjects[k] * _GOLDEN
        _mark_day(s, 1, mixed)
        if is_open:
            _mark_day(s, 0, mixed)
            _mark_hour(s, mixed)
    unlisted = max(0, e.subject_count - (e.subjects_to - e.subjects_from))
    s.unlisted_subjects[1] += unlisted
    s.today[ALL_SUBJECTS] = _distinct(s.day_ones[1], DAY_BITS) + s.unlisted_subjects[1]
    s.today[ALL_TAKEN] += taken
    s.today[AUDIT] += 1.0 if e.action == AUDIT_QUERY or e.action == AUDIT_EXPORT else 0.0
    if is_open:
        s.unlisted_subjects[0] += unlisted
        s.today[SUBJECTS] = _distinct(s.day_ones[0], DAY_BITS) + s.unlisted_subjects[0]
        s.today[BUSIEST] = max(s.today[BUSIEST], _distinct(s.hour_ones, HOUR_BITS))
        s.today[SEARCHES] += 1.0 if e.action == SEARCH else 0.0
        if e.outcome == SUCCESS:
            _count_success(s, e, taken)
    place = s.day % RING_DAYS
    s.ring_records[place], s.ring_subjects[place] = s.today[TAKEN], s.today[SUBJECTS]
    s.ring_unexplained[place] = s.today[UNEXPLAINED]


@compiled
def _count_success(s: Any, e: Any, taken: float) -> None:
    """What an open access that succeeded adds to today."""
    s.today[TAKEN] += taken
    s.today[EXPOSURE] += 0.5 * max(1, e.sensitivity) * e.subject_count
    s.today[EXPORTED] += taken if _is_export(e) else 0.0
    s.today[UNMASKED] += 1.0 if e.unmasked else 0.0
    s.today[EXTERNAL] += max(1.0, taken) if e.external else 0.0
    s.today[UNEXPLAINED] += 1.0 if e.sensitivity >= 3 else 0.0
    s.today[VIP] += 1.0 if e.vip_subjects > 0 else 0.0
    s.today[CHANGES] += 1.0 if e.action == UPDATE or e.action == DELETE else 0.0


@compiled
def _total(s: Any, i: int, feature: int, measure: int, out: F32, usual: F32, spread: F32) -> None:
    """A total of today, and what is usual for the actor once three days are known."""
    out[i, feature] = math.log1p(s.today[measure])
    if s.active_days > 2:
        usual[i, feature], spread[i, feature] = s.day_mean[measure], math.sqrt(s.day_var[measure])


@compiled
def _own(s: Any, i: int, feature: int, measure: int, value: float, out: F32, usual: F32, spread: F32) -> None:
    """Deviations of log1p(value) above the actor's own days, shrunk to 0 while few days are known."""
    deviation = (math.log1p(value) - s.day_mean[measure]) / (math.sqrt(s.day_var[measure]) + 0.4)
    out[i, feature] = max(0.0, deviation) * s.active_days / (s.active_days + 5.0)
    if s.active_days > 0:
        usual[i, feature], spread[i, feature] = s.day_mean[measure], math.sqrt(s.day_var[measure])


@compiled
def _week(recent: float, before: float, age_days: int) -> float:
    """Log of the last 7 days' mean over that of up to 28 days before; 0 until 14 days are known."""
    if age_days < 14:
        return 0.0
    return max(0.0, math.log((recent / 7.0 + 1.0) / (before / min(age_days - 6, 28) + 1.0)))


@compiled
def _totals(s: Any, i: int, out: F32, usual: F32, spread: F32) -> None:
    """Hour, day, week and fortnight."""
    _total(s, i, SUBJECTS_DAY, SUBJECTS, out, usual, spread)
    _total(s, i, EXPOSURE_DAY, EXPOSURE, out, usual, spread)
    _total(s, i, RECORDS_DAY, TAKEN, out, usual, spread)
    _total(s, i, EXPORTED_DAY, EXPORTED, out, usual, spread)
    _total(s, i, UNMASKED_DAY, UNMASKED, out, usual, spread)
    _total(s, i, UNEXPLAINED_DAY, UNEXPLAINED, out, usual, spread)
    _total(s, i, VIP_DAY, VIP, out, usual, spread)
    _total(s, i, EXTERNAL_DAY, EXTERNAL, out, usual, spread)
    _total(s, i, SEARCHES_DAY, SEARCHES, out, usual, spread)
    _total(s, i, CHANGES_DAY, CHANGES, out, usual, spread)
    _total(s, i, AUDIT_DAY, AUDIT, out, usual, spread)
    _total(s, i, ALL_SUBJECTS_DAY, ALL_SUBJECTS, out, usual, spread)
    _total(s, i, ALL_RECORDS_DAY, ALL_TAKEN, out, usual, spread)
    hour = _distinct(s.hour_ones, HOUR_BITS)
    out[i, SUBJECTS_1H] = math.log1p(hour)
    _own(s, i, SUBJECTS_1H_OWN, BUSIEST, hour, out, usual, spread)
    _own(s, i, SUBJECTS_DAY_OWN, SUBJECTS, s.today[SUBJECTS], out, usual, spread)
    _own(s, i, RECORDS_DAY_OWN, TAKEN, s.today[TAKEN], out, usual, spread)
    _own(s, i, EXPORTED_DAY_OWN, EXPORTED, s.today[EXPORTED], out, usual, spread)
    _own(s, i, UNMASKED_DAY_OWN, UNMASKED, s.today[UNMASKED], out, usual, spread)
    _own(s, i, UNEXPLAINED_DAY_OWN, UNEXPLAINED, s.today[UNEXPLAINED], out, usual, spread)
    out[i, SLOW_RISE] = max(_risen(s, 0, SUBJECTS), _risen(s, 1, TAKEN), _risen(s, 2, UNMASKED))
    age_days = s.day - s.first_day
    out[i, RECORDS_WEEK] = _week(s.past_records[0] + s.today[TAKEN], s.past_records[1], age_days)
    out[i, SUBJECTS_WEEK] = _week(s.past_subjects[0] + s.today[SUBJECTS], s.past_subjects[1], age_days)
    out[i, UNEXPLAINED_2W] = math.log1p(s.past_unexplained + s.today[UNEXPLAINED])
    out[i, SUBJECTS_2W] = math.log1p(s.past_subjects[2] + s.today[SUBJECTS])


@compiled
def _learn(s: Any, e: Any) -> None:
    """What the event leaves behind, totals and rates aside."""
    s.events += 1
    if e.time_us >= s.newest_us:
        s.newest_us, s.newest_holidays = e.time_us, e.holidays
    s.hours_today |= np.uint32(1) << np.uint32(e.local_hour)
    s.actions_today |= np.uint32(1) << np.uint32(e.action)
    s.channels_today |= np.uint32(1) << np.uint32(e.channel)
    size, kind = math.log1p(_taken(e)), 1 if _is_export(e) else 0
    if s.size_n[kind] >= 20.0:
        size = min(size, s.size_mean[kind] + 3.0 * (math.sqrt(s.size_var[kind]) + 0.3))
    weight = 1.0 / min(s.size_n[kind] + 1.0, 500.0)
    delta = size - s.size_mean[kind]
    s.size_mean[kind] += weight * delta
    s.size_var[kind] = (1.0 - weight) * (s.size_var[kind] + weight * delta * delta)
    s.size_n[kind] += 1.0
    _use(s.prefix_keys, s.prefix_days, s.prefix_last, _key(e.ip_prefix), s.day)
    _use(s.device_keys, s.device_days, s.device_last, _key(e.device), s.day)
    _use(s.country_keys, s.country_days, s.country_last, _key(np.uint64(e.country)), s.day)
    _use(s.agent_keys, s.agent_days, s.agent_last, _key(e.user_agent), s.day)
    _use(s.resource_keys, s.resource_days, s.resource_last, _key(e.resource_type), s.day)
    if _is_placed(e):
        s.last_latitude, s.last_longitude, s.last_place_us = e.latitude, e.longitude, e.time_us


@compiled
def judge(state: Any, events: Any, subjects: npt.NDArray[np.uint64], out: F32, usual: F32, spread: F32) -> None:
    """Fills features (n, k), the actor's own usual and its spread (n, k); changes the actors' records in `state`."""
    for i in range(events.shape[0]):
        e = events[i]
        if e.scorable == 0:
            continue
        s = state[e.slot]
        late = s.events > 0 and e.time_us < s.newest_us - _LATE_US
        if not late:
            _turn_day(s, e)
        _habits(s, e, i, late, out, usual, spread)
        _news(s, e, i, out)
        _pace(s, e, i, late, out)
        if not late:
            _count(s, e, subjects)
            _looks(s, e, i, subjects, out)
        _totals(s, i, out, usual, spread)
        if not late:
            _learn(s, e)
