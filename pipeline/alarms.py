"""The system's own alarms as alerts: no event raised them, so they carry no position and no batch (`batch_id` 0).

Place in the flow: written when a version set without a usable model is taken up, or when changed files cannot be;
shown by `accesstrail alerts` like any other alert, detector `system:<code>`.
"""

from __future__ import annotations

import uuid

import numpy as np
import numpy.typing as npt

from pipeline.columns import (
    ALERT_COLUMNS,
    ArrayColumn,
    Column,
    ColumnBatch,
    ColumnSpec,
    FixedColumn,
    Interner,
    MapColumn,
    TextColumn,
)
from pipeline.events import SEVERITIES, codes

_NAMESPACE = uuid.UUID("7d1f5b0e-0f0c-5b6a-8d55-9a3e4f1c2b90")
_HIGH = codes(SEVERITIES)["high"]

TEXTS: dict[str, tuple[str, str]] = {
    "model_missing": (
        "There is no model: events are stored but not scored. Next: train one with `accesstrail train` and put its "
        "folder where [detection] model points; it is taken up by itself.",
        "没有可用模型：事件已存储但未评分。下一步：用 `accesstrail train` 训练模型，"
        "放到 [detection] model 指向的目录，系统会自动启用。",
    ),
    "model_corrupt": (
        "The model's files are damaged: events are stored but not scored. Next: restore the model folder or train "
        "again; it is taken up by itself.",
        "模型文件已损坏：事件已存储但未评分。下一步：恢复模型目录或重新训练，系统会自动启用。",
    ),
    "model_other_version": (
        "The model belongs to another version of accesstrail: events are stored but not scored. Next: train again with "
        "this version; the model is taken up by itself.",
        "模型属于其他版本：事件已存储但未评分。下一步：用当前版本重新训练，系统会自动启用。",
    ),
    "model_golden_mismatch": (
        "The model scores otherwise on this machine than where it was made: events are stored but not scored. Next: "
        "train again on this kind of machine; the model is taken up by itself.",
        "模型在本机的评分与训练时不一致：事件已存储但未评分。下一步：在同类机器上重新训练，系统会自动启用。",
    ),
    "reload_failed": (
        "The changed directory or model files cannot be used: the version set that was in force stays in force. Next: "
        "run `accesstrail check`, which names every fault, and put the files right; they are taken up by themselves.",
        "更改后的目录或模型文件无法使用：之前的版本集继续生效。下一步：运行 `accesstrail check` 查看所有问题，"
        "修正文件后系统会自动启用。",
    ),
}


def alarm_row(
    code: str, versions_id: bytes, at_us: int, retention_class: str, tenant_id: str = "default"
) -> ColumnBatch:
    """One alarm as a row of `alerts`; the same code under the same version set is the same alert."""
    english, chinese = TEXTS[code]
    identity = uuid.uuid5(_NAMESPACE, f"{tenant_id}:{code}:{versions_id.hex()}").bytes
    texts = Interner()
    words = {
        "tenant_id": tenant_id,
        "detector": f"system:{code}",
        "explanation_en": english,
        "explanation_zh": chinese,
        "retention_class": retention_class,
    }
    numbers = {"received_at": at_us, "event_time": at_us, "risk": 10_000, "severity": _HIGH}
    hashes = {"alert_id": identity[7::-1] + identity[:7:-1], "versions_id": versions_id}
    columns: dict[str, Column] = {}
    for spec in ALERT_COLUMNS:
        if spec.name == "seen":
            nothing = TextColumn(np.zeros(0, np.int32), texts)
            columns[spec.name] = MapColumn(np.zeros(1, np.int64), nothing, FixedColumn(np.zeros(0)))
        elif spec.name == "reasons":
            reason = TextColumn(np.array([texts[f"system:{code}"]], np.int32), texts)
            columns[spec.name] = ArrayColumn(np.ones(1, np.int64), reason)
        elif spec.kind == "text":
            columns[spec.name] = TextColumn(np.array([texts[words.get(spec.name, "")]], np.int32), texts)
        elif spec.name in hashes:
            columns[spec.name] = FixedColumn(np.array([np.void(hashes[spec.name])]))
        else:
            columns[spec.name] = FixedColumn(_number(numbers.get(spec.name, 0), spec))
    return ColumnBatch(1, columns)


def _number(value: int, spec: ColumnSpec) -> npt.NDArray[np.generic]:
    return np.zeros(1, spec.dtype) if spec.dtype.kind == "V" else np.array([value], spec.dtype)
