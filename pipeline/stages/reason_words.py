"""Reasons of dead letters and gaps in words that people read: the Chinese of `decode.REASONS`, and gaps in both.

Place in the flow: beside it; shown by the console and by `docs/reference/codes.md`. Senders read English (`ingest`).
`tests/unit/stages/test_reason_words.py` fails while a reason lacks its words.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.stages.gaps import MISSING_OFFSETS, TOPIC_RECREATED

REASONS_ZH: Mapping[str, str] = {
    "tombstone": "记录没有值；访问事件不允许删除",
    "too_large": "内容超过 900 KiB；大批量导出请拆成多条事件并使用同一 trace_id",
    "empty": "内容为空或只有空白字符",
    "bad_utf8": "内容不是有效的 UTF-8",
    "too_deep": "对象或列表嵌套超过 32 层",
    "bad_json": "内容不是单个 JSON 值（语法错误、NaN、字节序标记或末尾有多余内容）",
    "lone_surrogate": "文本含有不成对的 UTF-16 代理字符",
    "unknown_field": "含有 schema 中没有的字段",
    "missing_field": "缺少必填字段",
    "wrong_type": "值的 JSON 类型与 schema 不符（包括以 null 或 1.0 表示整数）",
    "out_of_bounds": "文本、列表或数字超出 schema 允许的长度或大小",
    "bad_word": "取值不在 schema 列出的范围内",
    "schema_version": "schema_version 不是 1",
    "duplicate_key": "同一对象中有重复的键",
    "nul_character": "文本含有字符 U+0000",
    "bad_uuid": "event_id 不是 36 个字符的 UUID",
    "bad_time": "event_time 不是带时区偏移的 RFC 3339 时间（不接受闰秒 :60）",
    "time_out_of_range": "event_time 早于 2000 年，或晚于接收时间一天以上",
    "bad_address": "src_ip 不是 IPv4 或 IPv6 地址",
    "count_without_manifest": "subject_count 大于 subject_ids 的数量，且没有 subject_manifest",
    "count_too_small": "subject_count 小于不同 subject_ids 的数量",
}
"""Reason code → what is wrong."""

GAP_WORDS: Mapping[str, tuple[str, str]] = {
    MISSING_OFFSETS: (
        "Kafka no longer holds these records: its retention, a deletion or a compaction took them",
        "Kafka 已不再保存这些记录：因保留期、删除或压缩而丢失",
    ),
    TOPIC_RECREATED: (
        "the topic was made anew or its log cut short; the unread rest of the old log is lost",
        "topic 被重建或日志被截短，旧日志中未读的部分已丢失",
    ),
}
"""Reason of a gap → what it means, English and Chinese."""
