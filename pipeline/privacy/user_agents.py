"""The family of a user agent: what kind of program asked, in one word of a short list.

Place in the flow: inside `protect`; the whole text is kept only as a keyed hash. The first mark found decides, so
programs stand before the browsers they imitate. Sources: the vendors' published user-agent formats.
"""

from __future__ import annotations

OTHER = "other"
_MARKS: tuple[tuple[str, str], ...] = (
    ("micromessenger", "wechat"), ("wxwork", "wecom"), ("dingtalk", "dingtalk"), ("feishu", "feishu"),
    ("lark", "feishu"), ("aws-cli", "aws-cli"), ("aws-sdk", "aws-sdk"), ("boto", "aws-sdk"),
    ("amazonaws.com", "aws-service"), ("aws internal", "aws-service"), ("console.amazonaws", "aws-console"),
    ("terraform", "terraform"), ("kubectl", "kubectl"), ("kube", "kubernetes"), ("python-requests", "python-requests"),
    ("python-httpx", "httpx"), ("aiohttp", "aiohttp"), ("python-urllib", "python"), ("python", "python"),
    ("postmanruntime", "postman"), ("insomnia", "insomnia"), ("curl", "curl"), ("wget", "wget"),
    ("okhttp", "okhttp"), ("apache-httpclient", "java"), ("java", "java"), ("go-http-client", "go"),
    ("node-fetch", "node"), ("axios", "node"), ("undici", "node"), ("libwww-perl", "perl"), ("ruby", "ruby"),
    ("powershell", "powershell"), ("dalvik", "android-app"), ("cfnetwork", "ios-app"), ("headless", "headless"),
    ("selenium", "headless"), ("puppeteer", "headless"), ("playwright", "headless"), ("bot", "bot"),
    ("spider", "bot"), ("qqbrowser", "qqbrowser"), ("edg", "edge"), ("opr/", "opera"), ("firefox", "firefox"),
    ("chrome", "chrome"), ("crios", "chrome"), ("safari", "safari"), ("trident", "internet-explorer"),
    ("msie", "internet-explorer"), ("psql", "database-client"), ("dbeaver", "database-client"),
    ("navicat", "database-client"), ("jdbc", "database-client"), ("odbc", "database-client"),
)  # fmt: skip

_KINDS = {
    "browser": ("chrome", "edge", "firefox", "safari", "opera", "qqbrowser", "internet-explorer", "aws-console"),
    "office_app": ("wechat", "wecom", "dingtalk", "feishu"),
    "mobile_app": ("android-app", "ios-app"),
    "database_client": ("database-client",),
    "script": (
        "aws-cli", "terraform", "kubectl", "python-requests", "httpx", "aiohttp", "python", "postman", "insomnia",
        "curl", "wget", "perl", "ruby", "powershell", "headless", "bot",
    ),
    "service": ("aws-sdk", "aws-service", "kubernetes", "okhttp", "java", "go", "node"),
}  # fmt: skip
_KIND_OF = {family: kind for kind, families in _KINDS.items() for family in families}


def agent_kind(family: str) -> str:
    """What kind of program a family is, a word of events.AGENT_KINDS; "" where the family is "".

    A `script` is started by hand or by a schedule, a `service` is a program's own client library.
    """
    return _KIND_OF.get(family, "other") if family else ""


def user_agent_family(user_agent: str) -> str:
    """The family's word, `other` where no mark fits, "" where the text is empty."""
    if not user_agent:
        return ""
    lowered = user_agent.lower()
    return next((family for mark, family in _MARKS if mark in lowered), OTHER)
