"""What a notice can hold: each field's name in both languages, and whether accesstrail fills it or a person must.

Place in the flow: named by `laws.json`, checked by `register.py`, filled by `drafts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.breach.model import Text


@dataclass(frozen=True, slots=True)
class Field:
    """`hint`: what a person is to write; None where accesstrail fills it. `is_contact`: kept as written, unmasked."""

    label: Text
    hint: Text | None = None
    is_contact: bool = False


FIELDS: Mapping[str, Field] = {
    # filled from the counts and the clock
    "discovered_at": Field(Text("Discovered", "发现时间")),
    "grade": Field(Text("Grade", "事件级别")),
    "subjects": Field(Text("Persons concerned (distinct, so far)", "涉及人数（去重，截至目前）")),
    "subjects_eu": Field(Text("of them in the EU", "其中欧盟境内")),
    "records": Field(Text("Records concerned", "涉及记录数")),
    "categories": Field(Text("Types of information", "信息种类")),
    # written by a person
    "organisation": Field(Text("Organisation", "单位名称"), Text("name of the organisation", "单位全称")),
    "system": Field(Text("System", "系统情况"), Text("name, purpose, level of protection", "名称、用途、等级保护级别")),
    "contact": Field(Text("Contact", "联系方式"), Text("name of the office, telephone, mail", "部门、电话、邮箱"), is_contact=True),
    "dpo_contact": Field(
        Text("Data protection officer", "数据保护官"), Text("name, telephone, mail", "姓名、电话、邮箱"), is_contact=True
    ),
    "incident_type": Field(Text("Type", "事件类型"), Text("e.g. unauthorised access, export", "如越权访问、批量导出")),
    "effects": Field(Text("Effects", "影响和危害"), Text("what has happened because of it", "已造成的影响")),
    "measures_taken": Field(Text("Measures taken", "已采取的措施"), Text("what was done, when, with what result", "措施、时间、效果")),
    "ransom": Field(Text("Ransom", "勒索情况"), Text("amount, way, date; or: none", "金额、方式、日期；或：无")),
    "trend": Field(Text("How it may go on", "发展趋势"), Text("further harm that is possible", "可能的进一步危害")),
    "cause": Field(Text("Cause", "原因"), Text("as far as known; say what is not", "已知原因；未查明的请说明")),
    "clues": Field(Text("Clues", "溯源线索"), Text("times, addresses of the attacker, traces", "时间、攻击来源、痕迹")),
    "next_measures": Field(Text("Next measures", "后续措施"), Text("intended; support asked for", "拟采取措施及请求支援事项")),
    "scene": Field(Text("Preservation", "现场保护"), Text("what is preserved and how", "保全内容与方式")),
    "consequences": Field(Text("Possible harm", "可能造成的危害"), Text("to the persons concerned", "对个人的可能危害")),
    "advice": Field(Text("What you can do", "您可以采取的措施"), Text("steps that lessen the harm", "可减轻危害的措施")),
    "delay_reason": Field(Text("Reasons for the delay", "迟报理由"), Text("why it is late; or: not late", "迟报原因；或：未迟报")),
    "accountability": Field(Text("Accountability", "责任处理"), Text("what was decided", "处理结果")),
    "rectification": Field(Text("Rectification", "整改情况"), Text("what was changed, until when", "整改内容与期限")),
    "lessons": Field(Text("Lessons", "经验教训"), Text("what is done differently", "改进之处")),
}  # fmt: skip

WRITTEN_BY_PEOPLE = frozenset(name for name, one in FIELDS.items() if one.hint is not None)
