"""From a channel's kind to its sender: the one place that knows all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.adapters.channels.addresses import Resolve, system_addresses
from pipeline.adapters.channels.dingtalk import DingTalkSender
from pipeline.adapters.channels.feishu import FeishuSender
from pipeline.adapters.channels.http import HttpClient
from pipeline.adapters.channels.pagerduty import PagerDutySender
from pipeline.adapters.channels.slack import SlackSender
from pipeline.adapters.channels.smtp import SmtpSender
from pipeline.adapters.channels.webhook import WebhookSender
from pipeline.adapters.channels.wecom import WeComSender
from pipeline.errors import ConfigError
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.outcome import Sender

_OVER_HTTP: Mapping[str, Callable[[ChannelSettings, HttpClient], Sender]] = {
    "webhook": WebhookSender,
    "dingtalk": DingTalkSender,
    "feishu": FeishuSender,
    "wecom": WeComSender,
    "slack": SlackSender,
    "pagerduty": PagerDutySender,
}
KINDS = (*_OVER_HTTP, "smtp")


def sender_of(settings: ChannelSettings, resolve: Resolve = system_addresses) -> Sender:
    """The sender of one channel. Raises: ConfigError: its `ca_file` holds no certificates."""
    try:
        if settings.kind == "smtp":
            return SmtpSender(settings, resolve)
        return _OVER_HTTP[settings.kind](settings, HttpClient(settings, resolve))
    except OSError as exc:
        raise ConfigError([f"[channels.{settings.name}] ca_file holds no certificates that can be read"]) from exc


def senders_of(channels: Mapping[str, ChannelSettings], resolve: Resolve = system_addresses) -> Mapping[str, Sender]:
    """The senders of all channels, by name. Raises: ConfigError: with the fault of every channel that has one."""
    found: dict[str, Sender] = {}
    faults: list[str] = []
    for name, settings in channels.items():
        try:
            found[name] = sender_of(settings, resolve)
        except ConfigError as exc:
            faults.extend(exc.faults)
    if faults:
        raise ConfigError(faults)
    return found
