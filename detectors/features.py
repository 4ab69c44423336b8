"""The features an event is judged by: their list, and the compiled kernel that computes them and learns.

Place in the flow: first half of `assess`. Each feature is one-sided: only "more than usual" is suspicious. Features of
an event use the actor's state before it plus the event itself; the state learns afterwards (causal). Only event time
counts, never a clock. A late event (more than 10 minutes behind the actor's newest) is judged but moves no window.
Source of the list: the measured comparison in which behaviour features, not the detector, decided quality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from detectors.base import F32, NO_LOCATION, EventArrays
from detectors.profile import N_DAY, RING_DAYS, Profiles

FEATURE_VERSION = "2"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature in words; `unit` says what a value means, `scale` how it is shown ("log1p" is undone)."""

    name: str
    title_en: str
    title_zh: str
    unit_en: str
    unit_zh: str
    scale: str
    why: str


FEATURES: tuple[Feature, ...] = (
    Feature("hour_rarity", "unusual time of day for this account", "该账号的非常用时段", "bits of surprise", "比特", "", "people keep hours"),
    Feature("gap_days", "active again after a long pause", "长时间未使用后重新活跃", "days of silence", "天", "log1p", "dormant accounts are taken over"),
    Feature("records", "many records in one access", "单次访问记录数过多", "records", "条", "log1p", "bulk is the simplest theft"),
    Feature("records_own", "more records at once than this account's usual", "单次记录数高于本人平常", "deviations above own usual", "倍标准差", "", "own history is the fairest measure"),
    Feature("bytes", "much data in one access", "单次数据量过大", "bytes", "字节", "log1p", "exports show in bytes"),
    Feature("events_10m", "many accesses within ten minutes", "十分钟内访问过于频繁", "accesses in 10 minutes", "次/10分钟", "log1p", "scripts are fast"),
    Feature("subjects_1h", "many different customers within the hour", "一小时内查阅客户过多", "customers in the hour", "名客户/小时", "log1p", "breadth is the core of misuse"),
    Feature("subjects_day", "many different customers today", "今日查阅客户过多", "customers today", "名客户", "log1p", "breadth against colleagues"),
    Feature("subjects_day_own", "more customers today than this account's usual", "今日查阅客户数高于本人平常", "deviations above own usual", "倍标准差", "", "breadth against own history"),
    Feature("exposure_day", "much sensitive data of many customers today", "今日接触大量客户的敏感数据", "sensitivity-weighted customers today", "加权客户数", "log1p", "breadth weighted by harm"),
    Feature("records_day", "many records today", "今日记录数过多", "records today", "条", "log1p", "volume against colleagues"),
    Feature("records_day_own", "more records today than this account's usual", "今日记录数高于本人平常", "deviations above own usual", "倍标准差", "", "volume against own history"),
    Feature("exported_day", "many records exported or shared today", "今日导出或共享记录过多", "records taken out today", "条", "log1p", "what leaves cannot be called back"),
    Feature("unmasked_day", "many unmasked looks today", "今日明文查看过多", "unmasked looks today", "次", "log1p", "clear text is what is sold"),
    Feature("unmasked_day_own", "more unmasked looks today than this account's usual", "今日明文查看高于本人平常", "deviations above own usual", "倍标准差", "", "own history of clear text"),
    Feature("unexplained_day", "many sensitive accesses without a work item today", "今日无工单的敏感访问过多", "unexplained sensitive accesses today", "次", "log1p", "work leaves tickets"),
    Feature("records_week", "a week of rising volume", "一周内访问量持续上升", "times the usual week", "倍", "exp", "slow drips hide from daily limits"),
    Feature("subjects_week", "a week of rising breadth", "一周内查阅客户数持续上升", "times the usual week", "倍", "exp", "slow drips hide from daily limits"),
    Feature("new_network", "network never or rarely used by this account", "该账号从未或很少使用的网络", "novelty", "新颖度", "", "stolen credentials come from elsewhere"),
    Feature("new_device", "device never or rarely used by this account", "该账号从未或很少使用的设备", "novelty", "新颖度", "", "stolen credentials come from elsewhere"),
    Feature("new_country", "country never or rarely used by this account", "该账号从未或很少出现的国家或地区", "novelty", "新颖度", "", "stolen credentials come from elsewhere"),
    Feature("new_agent", "program never or rarely used by this account", "该账号从未或很少使用的程序", "novelty", "新颖度", "", "scripts announce themselves"),
    Feature("rare_resource", "kind of data this account rarely touches", "该账号很少接触的数据类型", "bits of surprise", "比特", "", "jobs define data"),
    Feature("rare_action", "action this account rarely takes", "该账号很少执行的操作", "bits of surprise", "比特", "", "jobs define actions"),
    Feature("travel", "faster than travel allows", "移动速度超出合理范围", "km/h", "公里/小时", "log1p", "one account, two people"),
    Feature("denied_10m", "many refused accesses within ten minutes", "十分钟内被拒绝次数过多", "refusals in 10 minutes", "次/10分钟", "log1p", "probing"),
    Feature("repeat_subject", "one customer looked at again and again without a work item", "无工单反复查看同一客户", "looks in 7 days", "次/7天", "log1p", "curiosity and stalking"),
    Feature("vip_day", "protected customers looked at without a work item", "无工单查看受保护客户", "looks today", "次", "log1p", "curiosity and leaks to the press"),
    Feature("sequence", "customers taken in numerical order", "按编号顺序逐个访问客户", "share of steps in order", "顺序占比", "", "enumeration"),
    Feature("device_turns", "several devices in turn within half an hour", "半小时内多台设备交替使用", "changes of device", "次切换", "log1p", "shared credentials"),
    Feature("off_region", "customers outside the account's own region", "客户不在本账号负责区域", "rise of the share", "占比上升", "", "portfolios are regional"),
    Feature("external_day", "records handed to outsiders today", "今日向外部提供的记录", "records sent outside today", "条", "log1p", "cross-border and partner duties"),
)  # fmt: skip
NAMES = tuple(feature.name for feature in FEATURES)
N_FEATURES = len(FEATURES)
INDEX = {name: index for index, name in enumerate(NAMES)}

_LATE_US = 10 * 60 * 1_000_000
_DAY_US = 86_400 * 1_000_000
_MATURE_EVENTS = 100.0
_EARTH_KM = 6371.0


@numba.njit(cache=True)
def _novelty(keys: npt.NDArray[np.uint64], counts: npt.NDArray[np.float32], key: np.uint64, events: float) -> float:
    """1 / (1 + uses so far), damped while the account itself is new; 0 where the value is absent."""
    if key == 0:
        return 0.0
    for j in range(keys.shape[0]):
        if keys[j] == key:
            seen: float = 1.0 / (1.0 + counts[j]) * events / (events + _MATURE_EVENTS)
            return seen
    return events / (events + _MATURE_EVENTS)


@numba.njit(cache=True)
def _remember(keys: npt.NDArray[np.uint64], counts: npt.NDArray[np.float32], key: np.uint64) -> None:
    """Counts a use; a full table gives up its least used entry."""
    if key == 0:
        return
    least = 0
    for j in range(keys.shape[0]):
        if keys[j] == key:
            counts[j] += 1.0
            return
        if counts[j] < counts[least]:
            least = j
    keys[least] = key
    counts[least] = 1.0


@numba.njit(cache=True)
def _rarity(keys: npt.NDArray[np.uint64], counts: npt.NDArray[np.float32], key: np.uint64) -> float:
    """−log2 of the smoothed share of `key` among what the table holds."""
    total, own = 0.0, 0.0
    for j in range(keys.shape[0]):
        total += counts[j]
        if keys[j] == key:
            own = counts[j]
    rarity: float = -math.log2((own + 1.0) / (total + 8.0)) * total / (total + 20.0)
    return rarity


@numba.njit(cache=True)
def _estimate(bits: npt.NDArray[np.uint64]) -> float:
    """Distinct count by linear counting (Whang, Vander-Zanden, Taylor 1990)."""
    ones = 0
    for j in range(bits.shape[0]):
        word = bits[j]
        while word:
            word &= word - np.uint64(1)
            ones += 1
    size = bits.shape[0] * 64
    zeros = size - ones
    if zeros < 1:
        zeros = 1
    return float(size * math.log(size / zeros))


@numba.njit(cache=True)
def _distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance (haversine)."""
    p1, p2 = math.radians(lat1), math.radians(lat2)
    a = math.sin((p2 - p1) / 2) ** 2 + math.cos(p1) * math.cos(p2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, a)))


@numba.njit(cache=True)
def _close_day(s: Any, day: int) -> None:
    """Moves the finished day into the actor's own levels and rings."""
    elapsed = day - s.day
    for m in range(N_DAY):
        level = math.log1p(s.today[m])
        weight = 1.0 / min(s.active_days + 1.0, 30.0)
        delta = level - s.day_mean[m]
        s.day_mean[m] += weight * delta
        s.day_var[m] += weight * (delta * delta - s.day_var[m])
        s.today[m] = 0.0
    s.active_days += 1
    for step in range(1, min(elapsed, RING_DAYS) + 1):
        s.ring_records[(s.day + step) % RING_DAYS] = 0.0
        s.ring_subjects[(s.day + step) % RING_DAYS] = 0.0
    for j in range(s.day_bits.shape[0]):
        s.day_bits[j] = 0
    s.day = day


@numba.njit(cache=True)
def _own_level(s: Any, measure: int, value: float) -> float:
    """Deviations of log1p(value) above the actor's own days; shrunk to 0 while few days are known."""
    deviation = (math.log1p(value) - s.day_mean[measure]) / (math.sqrt(s.day_var[measure]) + 0.4)
    level: float = max(0.0, deviation) * s.active_days / (s.active_days + 5.0)
    return level


@numba.njit(cache=True)
def _week_ratio(ring: npt.NDArray[np.float32], day: int, age_days: int) -> float:
    """Log of the last 7 days' mean over the mean of the 28 days before; 0 until 14 days are known."""
    if age_days < 14:
        return 0.0
    recent, before = 0.0, 0.0
    known = min(age_days - 6, 28)
    for back in range(7):
        recent += ring[(day - back) % RING_DAYS]
    for back in range(7, 7 + known):
        before += ring[(day - back) % RING_DAYS]
    return max(0.0, math.log((recent / 7.0 + 1.0) / (before / known + 1.0)))


@numba.njit(cache=True)
def _kernel(  # noqa: C901  one pass over one event, top to bottom: splitting it costs time and clarity
    state: Any,  # a structured array: numba reads its fields as attributes
    slots: npt.NDArray[np.int64],
    scorable: npt.NDArray[np.uint8],
    time_us: npt.NDArray[np.int64],
    local_day: npt.NDArray[np.int32],
    local_hour: npt.NDArray[np.uint8],
    day_kind: npt.NDArray[np.uint8],
    action: npt.NDArray[np.uint8],
    outcome: npt.NDArray[np.uint8],
    resource_type: npt.NDArray[np.uint64],
    sensitivity: npt.NDArray[np.uint8],
    records: npt.NDArray[np.int64],
    bytes_out: npt.NDArray[np.int64],
    unmasked: npt.NDArray[np.uint8],
    external: npt.NDArray[np.uint8],
    explained: npt.NDArray[np.uint8],
    ip_prefix: npt.NDArray[np.uint64],
    country: npt.NDArray[np.uint16],
    network_kind: npt.NDArray[np.uint8],
    latitude: npt.NDArray[np.float32],
    longitude: npt.NDArray[np.float32],
    device: npt.NDArray[np.uint64],
    user_agent: npt.NDArray[np.uint64],
    subject_ends: npt.NDArray[np.int64],
    subjects: npt.NDArray[np.uint64],
    subject_count: npt.NDArray[np.int64],
    protected_subjects: npt.NDArray[np.uint16],
    own_subject: npt.NDArray[np.uint8],
    off_region: npt.NDArray[np.uint8],
    sequence: npt.NDArray[np.uint32],
    no_location: np.float32,
    out: npt.NDArray[np.float32],
    usual: npt.NDArray[np.float32],
) -> None:
    for i in range(slots.shape[0]):
        if scorable[i] == 0:
            continue
        s = state[slots[i]]
        late = s.events > 0 and time_us[i] < s.newest_us - _LATE_US
        day = local_day[i]
        if s.events == 0:
            s.first_day = day
            s.day = day
            s.last_latitude = no_location
        if day > s.day and not late:
            gap = (time_us[i] - s.newest_us) / _DAY_US
            if gap > 3.0:
                s.gap_days = gap
                s.gap_until_us = time_us[i] + _DAY_US
            _close_day(s, day)
        elapsed_s = max(0.0, (time_us[i] - s.newest_us) / 1e6) if s.events > 0 else 0.0
        events = float(s.events)
        success = outcome[i] == 1
        n_records = float(records[i]) if success else 0.0
        is_export = 7 <= action[i] <= 10
        first = subject_ends[i - 1] if i > 0 else 0
        unexplained = explained[i] != 1
        measure = 1 if is_export else 0

        # -- before learning: what this event looks like against what is known
        is_work = day_kind[i] == 1 or day_kind[i] == 3
        hour = int(local_hour[i]) + (0 if is_work else 24)
        share = (s.hours[hour] + 0.5) / (s.hours_total + 24.0)
        out[i, 0] = max(0.0, -math.log2(share) - 3.0) * s.hours_total / (s.hours_total + 60.0)
        out[i, 1] = math.log1p(s.gap_days) if time_us[i] < s.gap_until_us else 0.0
        size = math.log1p(n_records)
        out[i, 2] = size
        spread = math.sqrt(s.size_var[measure]) + 0.3
        trust = s.size_n[measure] / (s.size_n[measure] + 20.0)
        out[i, 3] = max(0.0, (size - s.size_mean[measure]) / spread) * trust
        usual[i, 3] = s.size_mean[measure]
        out[i, 4] = math.log1p(max(0.0, float(bytes_out[i]))) if success else 0.0
        rate = s.rate_10m * math.exp(-elapsed_s / 600.0) + 1.0
        out[i, 5] = math.log1p(rate)
        denied = s.denied_10m * math.exp(-elapsed_s / 600.0) + (1.0 if outcome[i] == 2 else 0.0)
        out[i, 25] = math.log1p(denied)
        turns = s.device_turns * math.exp(-elapsed_s / 1800.0)
        if device[i] != 0 and s.last_device != 0 and device[i] != s.last_device and elapsed_s < 1800.0:
            turns += 1.0
        out[i, 29] = math.log1p(turns)
        out[i, 18] = _novelty(s.prefix_keys, s.prefix_counts, ip_prefix[i], events)
        out[i, 19] = _novelty(s.device_keys, s.device_counts, device[i], events)
        out[i, 20] = _novelty(s.country_keys, s.country_counts, np.uint64(country[i]), events)
        out[i, 21] = _novelty(s.agent_keys, s.agent_counts, user_agent[i], events)
        out[i, 22] = _rarity(s.resource_keys, s.resource_counts, resource_type[i])
        total = 0.0
        for j in range(20):
            total += s.actions[j]
        out[i, 23] = -math.log2((s.actions[action[i]] + 1.0) / (total + 8.0)) * total / (total + 20.0)
        speed = 0.0
        placed = latitude[i] != no_location
        if placed and s.last_latitude != no_location and not late:
            km = _distance_km(s.last_latitude, s.last_longitude, latitude[i], longitude[i])
            hours_passed = max((time_us[i] - s.last_place_us) / 3.6e9, 0.05)
            speed = km / hours_passed if km > 100.0 else 0.0
        out[i, 24] = math.log1p(speed) if speed > 300.0 else 0.0
        bits = s.sequence_bits
        known = s.last_sequence != 0 and sequence[i] != 0
        if known:
            step = np.uint32(sequence[i] - s.last_sequence)
            bits = np.uint32((bits << np.uint32(1)) | np.uint32(1 if step == 1 or step == 2 else 0))
        ones = 0
        word = bits & np.uint32(0xFFFFF)
        while word:
            word &= word - np.uint32(1)
            ones += 1
        out[i, 28] = ones / 20.0
        region_fast = s.off_region_fast + 0.1 * (off_region[i] - s.off_region_fast)
        out[i, 30] = max(0.0, region_fast - s.off_region_slow) * events / (events + 50.0)

        # -- today's totals, this event included
        hour_mark = day * 24 + local_hour[i]
        if not late and hour_mark != s.hour_mark:
            for j in range(s.hour_bits.shape[0]):
                s.hour_bits[j] = 0
            s.hour_mark = hour_mark
        repeats = 0.0
        if not late:
            for k in range(first, subject_ends[i]):
                key = subjects[k]
                mixed = key * np.uint64(0x9E3779B97F4A7C15)
                s.hour_bits[(mixed >> np.uint64(58)) & np.uint64(15)] |= np.uint64(1) << (mixed & np.uint64(63))
                s.day_bits[(mixed >> np.uint64(50)) & np.uint64(63)] |= np.uint64(1) << (
                    (mixed >> np.uint64(8)) & np.uint64(63)
                )
                if unexplained and own_subject[i] == 0 and k - first < 4:
                    repeats = max(repeats, _repeat(s, key, day))
            unlisted = max(0, subject_count[i] - (subject_ends[i] - first))
            weight = 0.5 * max(1.0, float(sensitivity[i]))
            s.today[0] = max(s.today[0], _estimate(s.day_bits)) if unlisted == 0 else s.today[0] + unlisted
            s.today[1] += weight * float(subject_count[i]) if success else 0.0
            s.today[2] += n_records
            s.today[3] += n_records if is_export else 0.0
            s.today[4] += 1.0 if unmasked[i] and success else 0.0
            s.today[5] += 1.0 if unexplained and sensitivity[i] >= 3 and success else 0.0
            s.today[6] += 1.0 if unexplained and protected_subjects[i] > 0 else 0.0
            s.today[7] += max(1.0, n_records) if external[i] else 0.0
            # Today's totals are those of `s.day`: an event from just before midnight may come after it.
            s.ring_records[s.day % RING_DAYS] = s.today[2]
            s.ring_subjects[s.day % RING_DAYS] = s.today[0]
        out[i, 6] = math.log1p(_estimate(s.hour_bits))
        out[i, 7] = math.log1p(s.today[0])
        usual[i, 7] = s.day_mean[0] if s.active_days > 2 else np.nan
        out[i, 8] = _own_level(s, 0, s.today[0])
        usual[i, 8] = s.day_mean[0]
        out[i, 9] = math.log1p(s.today[1])
        usual[i, 9] = s.day_mean[1] if s.active_days > 2 else np.nan
        out[i, 10] = math.log1p(s.today[2])
        usual[i, 10] = s.day_mean[2] if s.active_days > 2 else np.nan
        out[i, 11] = _own_level(s, 2, s.today[2])
        usual[i, 11] = s.day_mean[2]
        out[i, 12] = math.log1p(s.today[3])
        usual[i, 12] = s.day_mean[3] if s.active_days > 2 else np.nan
        out[i, 13] = math.log1p(s.today[4])
        usual[i, 13] = s.day_mean[4] if s.active_days > 2 else np.nan
        out[i, 14] = _own_level(s, 4, s.today[4])
        usual[i, 14] = s.day_mean[4]
        out[i, 15] = math.log1p(s.today[5])
        usual[i, 15] = s.day_mean[5] if s.active_days > 2 else np.nan
        age = day - s.first_day
        out[i, 16] = _week_ratio(s.ring_records, day, age)
        out[i, 17] = _week_ratio(s.ring_subjects, day, age)
        out[i, 26] = math.log1p(repeats)
        out[i, 27] = math.log1p(s.today[6])
        usual[i, 27] = s.day_mean[6] if s.active_days > 2 else np.nan
        out[i, 31] = math.log1p(s.today[7])
        usual[i, 31] = s.day_mean[7] if s.active_days > 2 else np.nan

        # -- learning
        if late:
            continue
        s.events += 1
        s.newest_us = max(s.newest_us, time_us[i])
        if s.hours_total >= 4000.0:
            s.hours_total = 0.0
            for j in range(48):
                s.hours[j] *= 0.5
                s.hours_total += s.hours[j]
        s.hours[hour] += 1.0
        s.hours_total += 1.0
        step_size = 1.0 / min(s.size_n[measure] + 1.0, 500.0)
        delta = size - s.size_mean[measure]
        s.size_mean[measure] += step_size * delta
        s.size_var[measure] += step_size * (delta * delta - s.size_var[measure])
        s.size_n[measure] += 1.0
        s.rate_10m = rate
        s.denied_10m = denied
        s.device_turns = turns
        if device[i] != 0:
            s.last_device = device[i]
        _remember(s.prefix_keys, s.prefix_counts, ip_prefix[i])
        _remember(s.device_keys, s.device_counts, device[i])
        _remember(s.country_keys, s.country_counts, np.uint64(country[i]))
        _remember(s.agent_keys, s.agent_counts, user_agent[i])
        _remember(s.resource_keys, s.resource_counts, resource_type[i])
        s.actions[action[i]] += 1.0
        if known:
            s.sequence_bits = bits
        if sequence[i] != 0:
            s.last_sequence = sequence[i]
        if placed and network_kind[i] != 2 and network_kind[i] != 4:  # where a VPN or cloud ends, nobody sits
            s.last_latitude, s.last_longitude, s.last_place_us = latitude[i], longitude[i], time_us[i]
        s.off_region_fast = region_fast
        s.off_region_slow += 0.005 * (off_region[i] - s.off_region_slow)


@numba.njit(cache=True)
def _repeat(s: Any, key: np.uint64, day: int) -> float:
    """Counts looks at one subject within 7 days; the table forgets the oldest."""
    oldest = 0
    for j in range(s.subject_keys.shape[0]):
        if s.subject_keys[j] == key:
            if day - s.subject_days[j] > 7:
                s.subject_counts[j] = 0.0
            s.subject_counts[j] += 1.0
            s.subject_days[j] = day
            return float(s.subject_counts[j])
        if s.subject_days[j] < s.subject_days[oldest]:
            oldest = j
    s.subject_keys[oldest] = key
    s.subject_counts[oldest] = 1.0
    s.subject_days[oldest] = day
    return 1.0


def compute(events: EventArrays, profiles: Profiles) -> tuple[F32, F32]:
    """Features (n, k) and what is usual for each actor (n, k; nan where unknown or not told), and learns.

    Rows that are not scorable are all zero. The caller frames the batch with `profiles.begin()` and `commit()`.
    """
    slots = profiles.slots(events.actor_keys)
    out = np.zeros((events.count, N_FEATURES), np.float32)
    usual = np.full((events.count, N_FEATURES), np.nan, np.float32)
    _kernel(
        profiles.state, slots, events.scorable, events.event_time_us, events.local_day, events.local_hour,
        events.day_kind, events.action, events.outcome, events.resource_type, events.sensitivity, events.records,
        events.bytes_out, events.unmasked, events.external, events.explained, events.ip_prefix, events.country,
        events.network_kind, events.latitude, events.longitude, events.device, events.user_agent, events.subject_ends,
        events.subjects, events.subject_count, events.vip_subjects, events.own_subject, events.off_region, events.sequence,
        NO_LOCATION, out, usual,
    )  # fmt: skip
    return out, usual
