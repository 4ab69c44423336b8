"""What detectors see and say: the arrays one batch of events is judged by, and the judgement.

`enrich` fills `EventArrays`; features, rules and models read nothing else about an event. Numbers only: identifiers
arrive as 64-bit halves of their keyed tokens. n = events of the batch, in log order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from detectors.strength import pressed, strength_of

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

NO_LOCATION = np.float32(1000.0)
MODEL_DETECTOR = "isolation_forest"
"""Name of what raises an alert where no rule leads."""
EXCEPTION_CODE = "exception:"
"""How the reason code of an exception begins; behind it stand the rules that it takes away from alerts."""


@dataclass(slots=True)
class EventArrays:
    """One batch for the detectors. Hashes are 0 where the value is absent; counts are 0 where unknown."""

    count: int
    # who
    actor_keys: list[bytes]  # tenant text + 0x00 + 16-byte actor token: the key of the actor's profile
    peer_group_ids: I32  # (n,) index into peer_groups
    peer_groups: Sequence[str]  # "department/role" (or "type:<actor_type>" where the directory knows neither)
    actor_type: U8  # code of events.ACTOR_TYPES
    actor_status: U8  # code of events.ACTOR_STATUSES at event time
    tenure_days: I32  # days since hired_on; -1 unknown
    days_to_leave: I32  # days until leaves_on (negative after it); 32767 unknown
    on_behalf: U64  # the person behind a service or an AI agent
    # when
    event_time_us: I64  # UTC microseconds
    local_day: I32  # days since 1970-01-01 in the actor's local time
    local_hour: U8  # 0–23, the actor's local time
    day_kind: U8  # code of events.DAY_KINDS at the actor's site
    holidays: I32  # public holidays there before the local day, since the calendar begins; 0 where none are known
    # what
    channel: U8
    action: U8
    outcome: U8
    resource_type: U64  # hash of the type's name (not keyed: type names are no identifiers)
    resource_type_ids: I32  # index into resource_types
    resource_types: Sequence[str]
    endpoint: U64
    source_system: U64
    resource: U64
    sensitivity: U8  # 1–4, 0 unknown
    records: I64  # records_returned, else 1 for a successful read without a count
    matched: I64  # records a search or list matched; -1 unknown
    bytes_out: I64
    unmasked: U8  # 1 where the action is unmask/decrypt or fields_unmasked is not empty
    external: U8  # 1 where data left: recipient partner/external/public, or dst_country outside the home country
    recipient: U8  # code of events.RECIPIENT_TYPES
    destination_abroad: U8  # 1 where dst_country is outside the actor's home country
    grant_to_self: U8  # 1 where the actor grants rights to their own account
    break_glass: U8
    explained: U8  # code of events.EXPLAINED
    approved: U8  # 1 where an approval_ref is given
    case: U64
    purpose_fit: U8  # code of events.PURPOSE_FITS; 0 without a purpose or without a register
    legal_basis: U8  # code of events.LEGAL_BASES
    consent_withdrawn: U8  # 1 where the source says that the subject has withdrawn consent (attrs.consent_state)
    contract: U8  # code of events.CONTRACT_FITS; 0 where the actor is no partner or no contract is listed
    contract_limit: I32  # data subjects a day that the partner's contract allows; -1 none known
    # where from
    ip_prefix: U64  # /24 or /48 of the source address
    network_kind: U8  # code of events.NETWORK_KINDS
    country: U16  # two letters packed big-endian, 0 unknown
    source_abroad: U8  # 1 where the address is outside the actor's home country
    latitude: F32  # NO_LOCATION where unknown
    longitude: F32
    device: U64
    user_agent: U64
    agent_kind: U8  # code of events.AGENT_KINDS
    session: U64
    credential: U64
    # whose data
    subject_ends: I64  # (n,) cumulative ends into subjects
    subjects: U64  # flat
    subject_count: I64  # all subjects touched, also beyond the list
    vip_subjects: U16  # subjects flagged vip, employee or complaint
    minor_subjects: U16
    own_subject: U8  # 1 where the actor looks at their own record
    household_subject: U8  # 1 where a subject lives in the actor's household (subjects.csv)
    off_region: U8  # 1 where the subject's region differs from the actor's site region
    sequence: U32  # order-preserving surrogate of a numeric resource id, shifted by a secret per actor; 0 none
    # whether to judge
    scorable: U8  # 0 for heartbeats, own changes and duplicates: neither scored nor learnt


@dataclass(slots=True)
class Assessment:
    """The judgement of one batch, (n,) each; integers, so that evidence never depends on float formatting.

    `reason_ends`/`reasons`: codes of what drove the risk, largest first, as indexes into `reason_codes`. Where
    exceptions hold, what they leave comes first, then each one's own code followed by the rules that it takes away.
    `features` (n, k) and `surprisals` (n, k) are what explanations are written from; not evidence.
    """

    status: U8  # code of events.SCORE_STATUSES
    anomaly_score: U32  # millionths
    top3_surprisal: U16  # hundredths
    risk: U16  # hundredths, below 10000
    level: U16  # the model's, hundredths of risk without its upper end, 0 where excepted; not evidence
    floor: U16  # the highest floor of the rules that hold and are not excepted, hundredths; not evidence
    reason_ends: I64
    reasons: I32
    reason_codes: Sequence[str]
    features: F32
    surprisals: F32
    usual: F32  # (n, k) what is usual for this actor: the mean on the feature's scale; nan where unknown
    spread: F32  # (n, k) its standard deviation; nan where unknown

    def told(self, row: int) -> list[int]:
        """The reasons that an alert about this event may tell, as indexes: those that no exception takes away."""
        start = int(self.reason_ends[row - 1]) if row else 0
        codes: list[int] = self.reasons[start : self.reason_ends[row]].tolist()
        marked = (place for place, code in enumerate(codes) if self.reason_codes[code].startswith(EXCEPTION_CODE))
        return codes[: next(marked, len(codes))]

    def told_risk(self, row: int) -> int:
        """The risk (hundredths) that an alert tells: the event's own, less where an exception takes its cause away."""
        return min(int(self.risk[row]), pressed(strength_of(int(self.level[row]), int(self.floor[row]))))

    def gravest(self, row: int) -> int:
        """The risk (hundredths) of the graver cause alone, as `told_risk`: how grave, not how sure."""
        return min(int(self.risk[row]), pressed(max(int(self.level[row]), int(self.floor[row]))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason code in words: what it means, which register entries it touches, what to do next."""

    code: str
    title_en: str
    title_zh: str
    next_step_en: str
    next_step_zh: str
    articles: tuple[str, ...] = ()


class Detector(Protocol):
    """A way of judging a batch: a forest, a baseline or a rule; every one passes the same contract suite."""

    @property
    def name(self) -> str:
        """Stable name; part of alert ids."""
        ...

    @property
    def reasons(self) -> Mapping[str, Reason]:
        """Every reason code this detector can give."""
        ...

    def risk(self, events: EventArrays, features: F32, surprisals: F32) -> U16:
        """Risk in hundredths (0–10000) of each event, (n,); 0 means nothing to say."""
        ...
