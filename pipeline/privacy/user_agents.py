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


def user_agent_family(user_agent: str) -> str:
    """The family's word, `other` where no mark fits, "" where the text is empty."""
    if not user_agent:
        return ""
    lowered = user_agent.lower()
    return next((family for mark, family in _MARKS if mark in lowered), OTHER)
