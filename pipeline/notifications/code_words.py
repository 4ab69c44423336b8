"""What the code of a delivery means, in words that say what to do; Chinese and English.

Place in the flow: beside `outcome.py`, for commands and pages. What a channel itself wrote is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class CodeWords(NamedTuple):
    """The same in two languages."""

    en: str
    zh: str


CODE_WORDS: Mapping[str, CodeWords] = {
    "ok": CodeWords("delivered", "已送达"),
    "some_recipients_refused": CodeWords(
        "delivered, but the mail server refused some recipients: check the list", "已送达，但邮件服务器拒收部分收件人：请检查名单"
    ),
    "digest": CodeWords("told by a digest, since there were too many messages", "消息过多，已由摘要告知"),
    "duplicate": CodeWords("the same was delivered just before", "相同内容刚刚已送达"),
    "given_up": CodeWords("not delivered for too long: told on another channel", "长时间未送达：已在其他渠道告知"),
    "expired": CodeWords("the containment would have ended by now: not called any more", "遏制期限已过：不再调用"),
    "unreadable": CodeWords("the record is no message of this version", "记录不是本版本的消息"),
    "unknown_channel": CodeWords("the configuration has no such channel", "配置中没有该渠道"),
    "unauthorized": CodeWords(
        "the channel does not let us in: check token, secret, login, and its own list of addresses",
        "渠道拒绝访问：请检查令牌、密钥、登录信息及其地址白名单",
    ),
    "not_found": CodeWords("there is nothing at this address: check url and token", "该地址不存在：请检查 url 与令牌"),
    "redirected": CodeWords("the channel points elsewhere, which is not followed: check url", "渠道要求跳转（不予跟随）：请检查 url"),
    "host_not_allowed": CodeWords("its host is not in allow_hosts", "主机不在 allow_hosts 中"),
    "address_not_allowed": CodeWords(
        "its name leads to an inner network: list that in allow_private if it is meant",
        "域名指向内部网络：如确需访问，请加入 allow_private",
    ),
    "certificate": CodeWords("its certificate is not valid for this name: check url and ca_file", "证书与域名不符：请检查 url 与 ca_file"),
    "tls_refused": CodeWords("the mail server offers no TLS: nothing was said to it", "邮件服务器不支持 TLS：未发送任何内容"),
    "too_many": CodeWords("the channel takes no more now: lower rate_per_minute", "渠道限流：请降低 rate_per_minute"),
    "content_refused": CodeWords("the channel does not take what the message says", "渠道拒收消息内容"),
    "bad_request": CodeWords("the channel does not take such a message", "渠道不接受此类消息"),
    "name_unknown": CodeWords("its name is not known, or no name server answers: check url", "域名无法解析：请检查 url 与 DNS"),
    "no_connection": CodeWords("nobody answers there: check host, port and firewall", "无法连接：请检查主机、端口与防火墙"),
    "timeout": CodeWords("no answer in time: it may have arrived all the same", "超时未答复：消息可能已送达"),
    "cut_off": CodeWords("the connection ended before the answer: it may have arrived all the same", "连接中断：消息可能已送达"),
    "no_answer": CodeWords("there was no answer", "没有答复"),
    "server_error": CodeWords("the channel has trouble of its own: try again later", "渠道自身故障：请稍后再试"),
    "vendor_error": CodeWords("the channel reports an error that is not known here", "渠道返回未知错误"),
    "unknown_answer": CodeWords("something else than the channel answers: check url and proxies", "答复不是来自该渠道：请检查 url 与代理"),
    "answer_too_large": CodeWords("something else than the channel answers, at length: check url", "答复过长，不是来自该渠道：请检查 url"),
}  # fmt: skip
