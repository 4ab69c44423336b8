"""`accesstrail notify`: which channels people are told on, and whether a message arrives there."""

from __future__ import annotations

import json

import click

from pipeline.accounts.model import Account
from pipeline.adapters.channels.registry import sender_of
from pipeline.cli.acting import acting_as, now_us
from pipeline.cli.options import settings_options
from pipeline.cli.table import aligned
from pipeline.config import Settings
from pipeline.errors import EXIT_CONFIG, EXIT_DATA, EXIT_OK, EXIT_UNAVAILABLE, UsageError
from pipeline.incidents.escalate import Escalation
from pipeline.notifications.code_words import CODE_WORDS
from pipeline.notifications.config import ChannelSettings
from pipeline.notifications.outcome import DELIVERED, REFUSED, Sent
from pipeline.notifications.templates import test_notification
from pipeline.response.settings import Response, read_response

_TENANT = "default"


@click.group("notify")
def notify_command() -> None:
    """Channels: the chats, pagers and mailboxes in which people are told.

    \b
    Examples:
      accesstrail notify channels --state ./state
      accesstrail notify test chat --state ./state --token-file ~/.accesstrail-token
    """


@notify_command.command("channels")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@settings_options
def channels_command(settings: Settings, *, as_json: bool) -> int:
    """List the channels of the configuration and what leads to each. Secrets are not shown.

    `told` names severities and escalation layers; `containment` is the receiver that stops an account.

    \b
    Examples:
      accesstrail notify channels --state ./state
      accesstrail notify channels --config /etc/accesstrail/config.toml --json

    Exit codes: 0 listed, 2 usage, 78 configuration: every fault, with its channel's name.
    """
    response = read_response(settings.response, settings.source.parent)
    rows = [_listed(response, one) for one in _channels(response)]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    else:
        names = ("channel", "kind", "host", "language", "rate_per_minute", "told")
        for line in aligned(names, [[row[name] for name in names] for row in rows]):
            click.echo(line)
    return EXIT_OK


@notify_command.command("test")
@click.argument("channel")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@settings_options
@acting_as("test_channel")
def test_command(settings: Settings, channel: str, *, account: Account, as_json: bool) -> int:
    """Send one message to CHANNEL that says it is a test and who sent it; one attempt, past flood guard and topic.

    \b
    Examples:
      accesstrail notify test chat --state ./state --token-file ~/.accesstrail-token
      accesstrail notify test pager --config /etc/accesstrail/config.toml --json

    Exit codes: 0 delivered, 2 usage, 65 refused for what it says, 69 not delivered now, 77 not allowed, 78
    configuration, also where the channel lets nobody in.
    """
    response = read_response(settings.response, settings.source.parent)
    chosen = _chosen(response, channel)
    message = test_notification(channel, account.name, tenant_id=_TENANT, created_us=now_us())
    sent = sender_of(chosen).send(message, 1, now_us())
    words = CODE_WORDS[sent.code]
    if as_json:
        body = {
            "channel": channel, "kind": chosen.kind, "outcome": sent.outcome, "code": sent.code,
            "http_status": sent.http_status, "words": {"en": words.en, "zh": words.zh},
        }  # fmt: skip
        click.echo(json.dumps(body, ensure_ascii=False))
    else:
        status = f", HTTP {sent.http_status}" if sent.http_status else ""
        click.echo(f"{channel}: {words.en} ({sent.code}{status})")
    return _exit_code(sent)


test_command.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect


def _exit_code(sent: Sent) -> int:
    if sent.outcome == DELIVERED:
        return EXIT_OK
    if sent.outcome == REFUSED:
        return EXIT_DATA
    return EXIT_CONFIG if sent.is_channels_fault else EXIT_UNAVAILABLE


def _chosen(response: Response, name: str) -> ChannelSettings:
    if name in response.channels:
        return response.channels[name]
    if response.containment is not None and name == response.containment.name:
        raise UsageError(f"{name} stops accounts and is sent no messages: nobody would read a test there")
    known = ", ".join(response.channels) or "none"
    raise UsageError(f"there is no channel {name!r}; the configuration has: {known}")


def _channels(response: Response) -> list[ChannelSettings]:
    return [*response.channels.values(), *([response.containment] if response.containment else [])]


def _listed(response: Response, one: ChannelSettings) -> dict[str, object]:
    escalation = response.incidents.rules.escalation
    return {
        "channel": one.name,
        "kind": one.kind,
        "host": f"{one.endpoint.host}:{one.endpoint.port}",
        "language": one.language,
        "rate_per_minute": one.limits.rate_per_minute,
        "told": ["containment"] if one is response.containment else _told(escalation, one.name),
    }


def _told(escalation: Escalation, name: str) -> list[str]:
    """Severities of which this channel is told, and layers that they are escalated to, as `layer LAYER`."""
    severities = [severity for severity, plan in escalation.plans.items() if name in plan.channels]
    layers = {layer.name for plan in escalation.plans.values() for layer in plan.layers if name in layer.channels}
    return [*severities, *(f"layer {one}" for one in sorted(layers))]
