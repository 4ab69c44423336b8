"""What each attack is, in words: its numbers in the threat list, its story, and what makes its twin harmless.

Data only; documents and `accesstrail simulate --list` are made from it. D01–D32 are the scenarios that a monitor of
access to customers' data must catch, as this project numbers them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One scenario for people. `threats`: D-numbers; `title`, `twin`: English and Chinese."""

    name: str
    threats: tuple[str, ...]
    title_en: str
    title_zh: str
    twin_en: str
    twin_zh: str


_ROWS: tuple[tuple[str, str, str, str, str, str], ...] = (
    ("bulk_export", "D01", "bulk export", "批量导出",
     "a report that was asked for and approved", "已申请并获批的报表"),
    ("slow_drip", "D02", "a little every day for weeks", "长期少量窃取",
     "a project with a work item for each customer", "有逐户工单的专项工作"),
    ("off_hours", "D03", "alone at night", "深夜独自访问",
     "an incident at night, with its number", "有事件编号的夜间故障处理"),
    ("new_geo", "D04", "credentials used from abroad", "境外使用被盗凭据",
     "a journey of several days with one's own device", "携带本人设备的多日出差"),
    ("cross_border_share", "D04 D25", "records sent abroad", "向境外提供记录",
     "an approved transfer with a legal basis", "有法律依据并获批的出境"),
    ("impossible_travel", "D05", "two places at once", "不可能的异地访问",
     "the company's own tunnel leaves abroad", "公司自有专线出口在境外"),
    ("grant_then_use", "D06", "a helper grants, the account reads", "授权后立即使用",
     "a requested role, then cases of the new work", "按申请获得角色后处理新工作"),
    ("self_grant", "D06", "an administrator grants to themselves", "管理员自我授权",
     "an outage with incident and approval, role given back", "故障处理获批自授权并归还"),
    ("dormant_account", "D07", "a sleeping account wakes", "休眠账号被唤醒",
     "back from a long leave", "长假后返岗"),
    ("credential_sharing", "D08", "one account, two people", "账号共用",
     "one person with two own machines", "同一人使用两台本人设备"),
    ("key_in_many_places", "D08", "one key used from many places", "同一密钥多地使用",
     "a service moved into a registered cluster", "服务迁入已登记的集群"),
    ("snooping", "D09 D11", "curious about a celebrity", "窥探名人信息",
     "that customer's complaint, worked on for days", "为该客户持续处理投诉"),
    ("vip_crowd", "D09", "everybody peeks at one customer", "众人窥探同一客户",
     "one matter with a work item for each hand", "多人协办且各有工单"),
    ("colleague_snooping", "D10", "reading about a colleague or the family", "查看同事或家人信息",
     "that person's own case, assigned", "受理该人本人的业务"),
    ("own_record", "D10", "changing one's own record", "查看并修改本人记录",
     "a test on one's own account, asked for by ticket", "按工单以本人账号测试"),
    ("unexplained_access", "D11", "reading without any work item", "无工单的持续查阅",
     "the same reading, each look with its work item", "逐次均有工单的查阅"),
    ("peer_outlier", "D12", "several times the work of colleagues", "访问量远超同事",
     "covering for absent colleagues, with their tickets", "代同事处理其工单"),
    ("service_misuse", "D13", "a service's key in a person's hands", "服务密钥被人使用",
     "the service on a new host, under an approved change", "经批准变更后换主机的服务"),
    ("direct_sql", "D14", "round the application, straight into the tables", "绕过应用直接查库",
     "a repair under a change ticket", "按变更单进行的数据修复"),
    ("break_glass_misuse", "D15", "the emergency right without an emergency", "滥用应急权限",
     "an incident with number and approval", "有编号并获批的故障处理"),
    ("enumeration", "D16", "customers by number", "按编号遍历客户",
     "a service's standing check of all records", "服务的例行全量核对"),
    ("distributed_scraping", "D17", "one scrape over many accounts and addresses", "多账号多地址分布式爬取",
     "a partner's team on an agreed reconciliation", "合作方团队按约定对账"),
    ("permission_probing", "D18", "trying every door", "权限试探",
     "the test of a new role, with a ticket", "有工单的新角色测试"),
    ("departing_employee", "D19", "collecting before leaving", "离职前收集数据",
     "handing over, customer by customer, by ticket", "按工单逐户交接"),
    ("access_after_leaving", "D19", "access after the last day", "离职后仍在访问",
     "a prolonged contract the directory does not know yet", "合同已延期但目录未更新"),
    ("partner_overreach", "D20", "a partner beyond its contract", "合作方超范围访问",
     "a larger contract for these days", "当日适用的更大合同额度"),
    ("partner_harvest", "D16 D20 D21", "a partner's agent harvests at night", "合作方代理夜间批量拉取",
     "an agreed list, masked, from the partner's network", "按约定清单脱敏拉取"),
    ("unmask_abuse", "D21", "copying numbers down", "滥用明文查看",
     "call-backs, each with its work item", "逐户有工单的回访"),
    ("decrypt_abuse", "D22", "opening encrypted values without need", "无故解密",
     "disputes to check, each with its work item", "逐笔有工单的争议核查"),
    ("search_fishing", "D23", "trying numbers and names", "撞号式搜索",
     "a list to match, one work item for all", "按清单核对并有工单"),
    ("print_surge", "D24", "carrying records out on paper", "大量打印",
     "letters to customers, each with its work item", "逐户有工单的寄信"),
    ("public_link", "D25", "a link that anybody can open", "公开链接外发",
     "an approved file to a recipient on record", "经批准发送给在案收件方"),
    ("record_tampering", "D26", "changing records to hide something", "篡改客户记录",
     "an approved correction of a wrong import", "经批准更正错误导入"),
    ("silent_source", "D27", "a source falls silent", "日志源静默",
     "an announced maintenance window", "已公告的维护窗口"),
    ("sequence_hole", "D27", "rows vanish from a source", "日志记录缺失",
     "rows that come late and fill the holes", "延迟送达并补齐的记录"),
    ("log_tampering", "D27", "the log is turned down", "削弱审计日志",
     "the same settings under an approved change", "经批准的同类变更"),
    ("auditor_abuse", "D28", "watching persons through the audit log", "滥用审计查询",
     "an audit that is on record", "在案的审计任务"),
    ("purpose_drift", "D29", "another purpose than was agreed", "超出约定目的使用",
     "a day's help in another department, by its tickets", "按对方部门工单临时支援"),
    ("agent_overreach", "D30", "an AI agent beyond its person's mandate", "智能体越权批量访问",
     "an agreed list of open cases, each with its work item", "按约定清单汇总在办工单"),
    ("profile_assembly", "D31", "whole persons put together", "拼合个人画像",
     "a subject request or an investigation, by case", "主体请求或调查个案"),
    ("minors_without_approval", "D32", "minors' sensitive records without approval", "未经批准查看未成年人信息",
     "the same with the approval", "已获批准的同类查阅"),
)  # fmt: skip

CATALOGUE: dict[str, Entry] = {
    name: Entry(name, tuple(threats.split()), title_en, title_zh, twin_en, twin_zh)
    for name, threats, title_en, title_zh, twin_en, twin_zh in _ROWS
}
"""Every scenario by name, in the order of the threat list."""
