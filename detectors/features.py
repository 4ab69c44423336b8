"""The registry of features: what an event is judged by, in words, and how they are computed for a batch.

Place in the flow: first half of `assess`. Each feature is one-sided: only "more than usual" is suspicious. The arithmetic
stands in `kernel.py`; the memory it needs in `profile.py`. Source of the list: the measured comparison in which behaviour
features, not the detector, decided quality.

Words of the definitions: an access is *open* while neither a work item explains it nor an approval covers it. *Today* is
the newest local day of the account; *own days* are those before it, the last 30 weighing most. What is compared with the
account's own past is damped while that past is short (n / (n + 3) to n / (n + 20) by n days or sizes). A late event is
told totals and rates as they stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.base import F32, EventArrays
from detectors.kernel import EVENT, ORDER, judge
from detectors.profile import Profiles

FEATURE_VERSION = "4"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature in words; `unit` says what a value means, `scale` how it is shown ("log1p" and "exp" are undone).

    `definition`: what is computed, before the scale; `state`: what must be remembered of the actor; `value_range`: in
    the unit.
    """

    name: str
    title_en: str
    title_zh: str
    unit_en: str
    unit_zh: str
    scale: str
    why: str
    definition: str
    state: str
    value_range: str


FEATURES: tuple[Feature, ...] = (
    Feature("hour_rarity", "unusual time of day for this account", "该账号的非常用时段", "bits of surprise", "比特", "", "people keep hours", "−log2 of the share of all active days on which this hour of a working day, or of another day, was used; half the use of a neighbouring hour counts", "hours", "0–8"),
    Feature("gap_days", "active again after a long pause", "长时间未使用后重新活跃", "days of silence", "天", "log1p", "dormant accounts are taken over", "days since the account's last event, public holidays of its site left out, where more than 3, told for a day; never to a late event", "newest event", "0–"),
    Feature("records", "many records in one access", "单次访问记录数过多", "records", "条", "log1p", "bulk is the simplest theft", "records the access gave, if it is open", "none", "0–"),
    Feature("records_own", "more records at once than this account's usual", "单次记录数高于本人平常", "deviations above own usual", "倍标准差", "", "own history is the fairest measure", "log1p(records) of an open access in deviations above the mean of the account's own 500 last accesses, exports apart", "own sizes", "0–"),
    Feature("bytes", "much data in one access", "单次数据量过大", "bytes", "字节", "log1p", "exports show in bytes", "bytes the access gave, if it is open", "none", "0–"),
    Feature("events_10m", "many accesses within ten minutes", "十分钟内访问过于频繁", "accesses in 10 minutes", "次/10分钟", "log1p", "scripts are fast", "accesses, fading with a time constant of 10 minutes", "rate", "0–"),
    Feature("subjects_1h", "many different customers within the hour", "一小时内查阅客户过多", "customers in the hour", "名客户/小时", "log1p", "breadth is the core of misuse", "distinct customers listed by open accesses of the running local hour", "bitmap", "0–7,098"),
    Feature("subjects_day", "many different customers today", "今日查阅客户过多", "customers today", "名客户", "log1p", "breadth against colleagues", "distinct customers of open accesses today, unlisted ones added", "bitmap", "0–"),
    Feature("subjects_day_own", "more customers today than this account's usual", "今日查阅客户数高于本人平常", "deviations above own usual", "倍标准差", "", "breadth against own history", "log1p(customers today) in deviations above own days", "own days", "0–"),
    Feature("exposure_day", "much sensitive data of many customers today", "今日接触大量客户的敏感数据", "sensitivity-weighted customers today", "加权客户数", "log1p", "breadth weighted by harm", "customers of each open successful access today, times half its sensitivity", "total", "0–"),
    Feature("records_day", "many records today", "今日记录数过多", "records today", "条", "log1p", "volume against colleagues", "records of open accesses today", "total", "0–"),
    Feature("records_day_own", "more records today than this account's usual", "今日记录数高于本人平常", "deviations above own usual", "倍标准差", "", "volume against own history", "log1p(records today) in deviations above own days", "own days", "0–"),
    Feature("exported_day", "many records exported or shared today", "今日导出或共享记录过多", "records taken out today", "条", "log1p", "what leaves cannot be called back", "records exported, downloaded, shared or printed by open accesses today", "total", "0–"),
    Feature("unmasked_day", "many unmasked looks today", "今日明文查看过多", "unmasked looks today", "次", "log1p", "clear text is what is sold", "open successful unmasked looks today", "total", "0–"),
    Feature("unmasked_day_own", "more unmasked looks today than this account's usual", "今日明文查看高于本人平常", "deviations above own usual", "倍标准差", "", "own history of clear text", "log1p(unmasked today) in deviations above own days", "own days", "0–"),
    Feature("unexplained_day", "many sensitive accesses without a work item today", "今日无工单的敏感访问过多", "unexplained sensitive accesses today", "次", "log1p", "work leaves tickets", "open successful accesses of sensitivity 3 or 4 today", "total", "0–"),
    Feature("records_week", "a week of rising volume", "一周内访问量持续上升", "times the usual week", "倍", "exp", "slow drips hide from daily limits", "mean of records of open accesses over 7 days, over that of up to 28 days before, each plus 1; told from 14 days on", "ring of 35 days", "1–"),
    Feature("subjects_week", "a week of rising breadth", "一周内查阅客户数持续上升", "times the usual week", "倍", "exp", "slow drips hide from daily limits", "mean of customers of open accesses over 7 days, over that of up to 28 days before, each plus 1; told from 14 days on", "ring of 35 days", "1–"),
    Feature("new_network", "network never or rarely used by this account", "该账号从未或很少使用的网络", "novelty", "新颖度", "", "stolen credentials come from elsewhere", "1 / (1 + days before today on which the /24 or /48 was used)", "16 networks", "0–1"),
    Feature("new_device", "device never or rarely used by this account", "该账号从未或很少使用的设备", "novelty", "新颖度", "", "stolen credentials come from elsewhere", "1 / (1 + days before today on which the device was used)", "8 devices", "0–1"),
    Feature("new_country", "country never or rarely used by this account", "该账号从未或很少出现的国家或地区", "novelty", "新颖度", "", "stolen credentials come from elsewhere", "1 / (1 + days before today on which the country was used)", "8 countries", "0–1"),
    Feature("new_agent", "program never or rarely used by this account", "该账号从未或很少使用的程序", "novelty", "新颖度", "", "scripts announce themselves", "1 / (1 + days before today on which the program was used)", "8 programs", "0–1"),
    Feature("rare_resource", "kind of data this account rarely touches", "该账号很少接触的数据类型", "bits of surprise", "比特", "", "jobs define data", "−log2 of the share of active days on which the kind of data was used", "24 kinds", "0–8"),
    Feature("rare_action", "action this account rarely takes", "该账号很少执行的操作", "bits of surprise", "比特", "", "jobs define actions", "−log2 of the share of active days on which the action was used", "days by action", "0–8"),
    Feature("travel", "faster than travel allows", "移动速度超出合理范围", "km/h", "公里/小时", "log1p", "one account, two people", "great-circle distance over time since the last place, above 100 km and 300 km/h, at least 3 minutes counted; VPN, cloud and late events left out", "last place", "0, 300–"),
    Feature("denied_10m", "many refused accesses within ten minutes", "十分钟内被拒绝次数过多", "refusals in 10 minutes", "次/10分钟", "log1p", "probing", "refusals, fading with a time constant of 10 minutes", "rate", "0–"),
    Feature("repeat_subject", "one customer looked at again and again without a work item", "无工单反复查看同一客户", "looks in 7 days", "次/7天", "log1p", "curiosity and stalking", "open successful looks at one customer, fading over 7 days; the own record and accesses to more than 4 customers left out", "40 customers", "0–"),
    Feature("vip_day", "protected customers looked at without a work item", "无工单查看受保护客户", "looks today", "次", "log1p", "curiosity and leaks to the press", "open successful accesses to VIPs, colleagues or complainants today", "total", "0–"),
    Feature("sequence", "customers taken in numerical order", "按编号顺序逐个访问客户", "share of steps in order", "顺序占比", "", "enumeration", "share of the last 20 steps from one numeric resource id to the next that are 1 or 2", "20 bits", "0–1"),
    Feature("device_turns", "several devices in turn within half an hour", "半小时内多台设备交替使用", "changes of device", "次切换", "log1p", "shared credentials", "changes of device within 30 minutes, fading likewise", "last device", "0–"),
    Feature("off_region", "customers outside the account's own region", "客户不在本账号负责区域", "rise of the share", "占比上升", "", "portfolios are regional", "fast minus slow mean of \"the customer's region is not the account's\"", "2 means", "0–1"),
    Feature("external_day", "records handed to outsiders today", "今日向外部提供的记录", "records sent outside today", "条", "log1p", "cross-border and partner duties", "records given to partners, outsiders, the public or abroad by open accesses today, at least 1 each", "total", "0–"),
    Feature("subjects_1h_own", "more customers within the hour than this account's usual", "一小时内查阅客户数高于本人平常", "deviations above own usual", "倍标准差", "", "bursts against own history", "log1p(customers in the hour) in deviations above the busiest hours of own days", "own days", "0–"),
    Feature("exported_day_own", "more taken out today than this account's usual", "今日导出量高于本人平常", "deviations above own usual", "倍标准差", "", "own history of exports", "log1p(records taken out today) in deviations above own days", "own days", "0–"),
    Feature("unexplained_day_own", "more sensitive accesses without a work item than this account's usual", "今日无工单的敏感访问高于本人平常", "deviations above own usual", "倍标准差", "", "discipline differs from person to person", "log1p(unexplained today) in deviations above own days", "own days", "0–"),
    Feature("rare_channel", "way of access this account rarely uses", "该账号很少使用的访问方式", "bits of surprise", "比特", "", "who works in the application does not query the database", "−log2 of the share of active days on which the channel was used", "days by channel", "0–8"),
    Feature("searches_day", "many searches without a work item today", "今日无工单的搜索过多", "searches today", "次", "log1p", "fishing by name, number or phone", "open searches today, refused ones too", "total", "0–"),
    Feature("changes_day", "many changes without a work item today", "今日无工单的修改过多", "changes today", "次", "log1p", "records are altered to hide", "open successful updates and deletions today", "total", "0–"),
    Feature("audit_day", "many queries of the audit log today", "今日审计查询过多", "audit queries today", "次", "log1p", "auditors are watched too", "audit queries and exports today, open or not, refused ones too", "total", "0–"),
    Feature("network_turns", "several networks in turn within half an hour", "半小时内多个网络交替使用", "changes of network", "次切换", "log1p", "rotating addresses hide scraping", "changes of network within 30 minutes, fading likewise", "last network", "0–"),
    Feature("unexplained_2w", "many sensitive accesses without a work item in two weeks", "两周内无工单的敏感访问过多", "unexplained sensitive accesses in 14 days", "次/14天", "log1p", "a little every day adds up", "open successful accesses of sensitivity 3 or 4 in 14 days", "ring of 35 days", "0–"),
    Feature("subjects_2w", "many different customers in two weeks", "两周内查阅客户过多", "customers in 14 days (each day counted apart)", "名客户/14天", "log1p", "a little every day adds up", "distinct customers of open accesses a day, summed over 14 days", "ring of 35 days", "0–"),
    Feature("return_visits", "returns to one customer without a work item", "无工单多次回访同一客户", "returns in two weeks", "次/两周", "log1p", "curiosity comes back", "open visits to one customer, at least two hours after the last look, fading over 14 days, but the first", "40 customers", "0–"),
    Feature("all_subjects_day", "many different customers today, explained accesses included", "今日查阅客户总数过多（含有工单的访问）", "customers today in all", "名客户（合计）", "log1p", "tickets can be invented", "distinct customers today, unlisted ones added, open or not", "bitmap", "0–"),
    Feature("all_records_day", "many records today, explained accesses included", "今日记录总数过多（含有工单的访问）", "records today in all", "条（合计）", "log1p", "tickets can be invented", "records today, open or not", "total", "0–"),
    Feature("slow_rise", "a little more than this account's usual, day after day", "连日略高于本人平常", "deviations added up", "累计倍标准差", "", "a slow drip stays under every daily limit", "largest sum of small rises of customers, records or unmasked looks of open accesses: each active day adds its deviation above own days, 2 at most, less a quarter, and the sum is never below 0 (Page 1954)", "3 sums", "0–"),
)  # fmt: skip
NAMES = tuple(feature.name for feature in FEATURES)
N_FEATURES = len(FEATURES)
INDEX = {name: index for index, name in enumerate(NAMES)}
assert NAMES == ORDER  # noqa: S101  the kernel's columns are this list

KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("hours", ("hour_rarity",)),
    ("pause", ("gap_days",)),
    ("volume", ("records", "records_own", "bytes", "records_day", "records_day_own", "all_records_day")),
    ("export", ("exported_day", "exported_day_own")),
    ("rate", ("events_10m",)),
    ("order", ("sequence",)),
    (
        "breadth",
        ("subjects_1h", "subjects_1h_own", "subjects_day", "subjects_day_own", "exposure_day", "all_subjects_day"),
    ),
    ("clear text", ("unmasked_day", "unmasked_day_own")),
    ("unexplained", ("unexplained_day", "unexplained_day_own", "unexplained_2w")),
    ("one customer", ("repeat_subject", "return_visits")),
    ("protected customers", ("vip_day",)),
    ("slow rise", ("records_week", "subjects_week", "subjects_2w", "slow_rise")),
    ("origin", ("new_network", "new_device", "new_agent", "device_turns", "network_turns")),
    ("place", ("new_country", "travel")),
    ("habit", ("rare_resource", "rare_action", "rare_channel")),
    ("region", ("off_region",)),
    ("refusals", ("denied_10m",)),
    ("outsiders", ("external_day",)),
    ("searches", ("searches_day",)),
    ("changes", ("changes_day",)),
    ("audit", ("audit_day",)),
)
"""Features that show the same thing from different sides: one cause counts once, a new kind of reason reopens an alert."""
LOOK_BACK = ("records_week", "subjects_week", "unexplained_2w", "subjects_2w", "slow_rise")
"""Features that sum up a week and more: whoever is high today is high tomorrow, so an account's days are no separate
observations of them. Their rarity is counted in weeks of an account, that of all others in days."""
KIND_OF = {name: number for number, (_, names) in enumerate(KINDS) for name in names}
assert set(KIND_OF) == set(NAMES)  # noqa: S101  every feature has one kind

_SAME_NAME = tuple(
    name for name in EVENT.names or () if name not in ("slot", "time_us", "subjects_from", "subjects_to")
)  # fmt: skip


def _rows(events: EventArrays, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """The batch event by event, as the kernel reads it."""
    rows = np.empty(events.count, EVENT)
    for name in _SAME_NAME:
        rows[name] = getattr(events, name)
    rows["slot"], rows["time_us"] = slots, events.event_time_us
    rows["subjects_to"] = events.subject_ends
    rows["subjects_from"][:1] = 0
    rows["subjects_from"][1:] = events.subject_ends[:-1]
    return rows


def compute(events: EventArrays, profiles: Profiles) -> tuple[F32, F32, F32]:
    """Features (n, k), what is usual for each actor and its spread (n, k; nan where unknown or not told), and learns.

    Rows that are not scorable are all zero. The caller frames the batch with `profiles.begin()` and `commit()`.
    """
    slots = profiles.slots(events.actor_keys)
    out = np.zeros((events.count, N_FEATURES), np.float32)
    usual = np.full((events.count, N_FEATURES), np.nan, np.float32)
    spread = np.full((events.count, N_FEATURES), np.nan, np.float32)
    judge(profiles.state, _rows(events, slots), events.subjects, out, usual, spread)
    return out, usual, spread
