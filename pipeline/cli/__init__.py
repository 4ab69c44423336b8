"""The command `accesstrail`: the composition root. One file a command group, loaded only when it is used.

Exit codes (also in `accesstrail --help`): 0 done · 1 differences found · 2 usage · 3 incomplete · 65 bad input data ·
69 a dependency is unreachable · 70 internal error · 77 not allowed to this account · 78 configuration.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from pipeline import process_memory
from pipeline.errors import EXIT_OK, EXIT_SOFTWARE, EXIT_USAGE, AccesstrailError, ConfigError, UsageError

_EXIT_PIPE = 141  # 128 + SIGPIPE, as a shell says it

# command name -> module that defines it (as `<name>_command`), one line of help
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("pipeline.cli.demo", "Run the whole system on this machine and show a first finding."),
    "up": ("pipeline.cli.stack", "Start the local stack and the worker."),
    "down": ("pipeline.cli.stack", "Stop the local stack."),
    "status": ("pipeline.cli.stack", "Say what runs, what is ready and how far each partition is."),
    "topics": ("pipeline.cli.topics", "Create or show the Kafka topics."),
    "migrate": ("pipeline.cli.store", "Show or apply the store's schema changes."),
    "worker": ("pipeline.cli.worker", "Run one worker in the foreground."),
    "scheduler": ("pipeline.cli.scheduler", "Run the scheduled detectors in the foreground."),
    "responder": ("pipeline.cli.responder", "Handle incidents and send messages in the foreground."),
    "notary": ("pipeline.cli.notary", "Sign how far the ledger's trees are; hand that to anchors, in the foreground."),
    "console": ("pipeline.cli.console", "Serve the console, the pages that people work with."),
    "ingest": ("pipeline.cli.ingest", "Send recorded events to Kafka."),
    "simulate": (
        "pipeline.cli.simulate",
        "Write a believable company's access events, with labelled attacks.",
    ),
    "train": ("pipeline.cli.offline", "Train a model directory from history."),
    "score": ("pipeline.cli.offline", "Score events without any server, with the stream's own code."),
    "evaluate": ("pipeline.cli.evaluate", "Compare scores and alerts with labels."),
    "notify": ("pipeline.cli.notify", "Show the channels people are told on; send a test message."),
    "rules": ("pipeline.cli.rules", "Show the rules, run their cases, try them on history."),
    "alerts": ("pipeline.cli.store", "List alerts with their explanations."),
    "incidents": ("pipeline.cli.incidents", "List, show and handle incidents; a suspected breach and its deadlines."),
    "report": ("pipeline.cli.report", "Make the audit report of a period, with controls and a sample."),
    "search": ("pipeline.cli.search", "Find who touched a subject, what an actor did, who used a resource."),
    "scan": ("pipeline.cli.scan", "Look for identifiers where none may be: tables, logs, topics, files."),
    "erase": ("pipeline.cli.erase", "Take a person's identity out of the vault for good; a signed certificate."),
    "reveal": ("pipeline.cli.reveal", "Say who is behind one token, with a reason."),
    "reveal-masked": ("pipeline.cli.reveal", "Show part of who is behind one token, as your role may see it."),
    "sql": ("pipeline.cli.store", "Run one read-only query as the role reader."),
    "versions": ("pipeline.cli.versions", "Show which version set is in force; put another one in force."),
    "models": ("pipeline.cli.models", "Show, compare and sign models; put another one in force or go back."),
    "exceptions": ("pipeline.cli.exceptions", "Keep detectors quiet about somebody for a time, with reason and owner."),
    "replay": ("pipeline.cli.replay", "Form the sealed log again under its recorded versions and compare."),
    "verify": ("pipeline.cli.verify", "Verify that the evidence is what was sealed and signed; say what is missing."),
    "hold": ("pipeline.cli.hold", "Legal holds: keep evidence from being deleted or erased; release, list."),
    "subject-report": ("pipeline.cli.subject_report", "Answer a person who asks who looked at their data."),
    "retention": ("pipeline.cli.retention", "Delete what has had its time; show what would go and what went."),
    "evidence": ("pipeline.cli.evidence", "Export evidence as a bundle that anybody can verify."),
    "dashboards": ("pipeline.cli.dashboards", "Show the boards of console and Grafana, and what their panels answer."),
    "users": ("pipeline.cli.users", "Accounts, roles, passwords, second factors and personal tokens."),
    "keys": ("pipeline.cli.keys", "Show and rotate keys: of checkpoints, of pseudonyms; make a witness's key."),
    "witness": ("pipeline.cli.witness", "Cosign others' checkpoints that continue what was seen before."),
    "compose": (
        "pipeline.cli.compose",
        "Make what deploy/compose.yaml mounts: secrets, configuration, Grafana's files.",
    ),
    "check": ("pipeline.cli.operate", "Check the configuration, the directory and the model."),
    "doctor": ("pipeline.cli.operate", "Look for what would stop a running system from working."),
    "version": ("pipeline.cli.operate", "Print the versions of accesstrail and what it stands on."),
}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is asked for: `--help` stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads the command, or nothing where the name is unknown."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        assert isinstance(command, click.Command)  # noqa: S101  a wrong module is our bug
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Prints the one-line helps without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 differences, 2 usage, 3 incomplete, 65 bad input data, "
    "69 unreachable, 70 internal error, 77 not allowed to this account, 78 configuration.",
)
def accesstrail() -> None:
    """Who touched this customer's data, was that normal, and can you prove it?

    \b
    Try it:   accesstrail demo
    Run it:   accesstrail up --state DIR          (then: accesstrail status --state DIR)
    Ask it:   accesstrail alerts --state DIR      accesstrail search --subject ID --state DIR
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with a documented exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["worker"], ["responder"]):  # here, since the command's own imports start threads
        process_memory.few_heaps()
    try:
        result = accesstrail.main(args=words, prog_name="accesstrail", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except AccesstrailError as exc:
        _report(exc, as_json="--json" in words)
        sys.exit(exc.exit_code)
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):  # whoever read our output has seen enough; click would say 1
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(_EXIT_PIPE)
        raise
    except OSError as exc:
        if exc.filename is None:
            _report_fault(exc)
        _report(UsageError(f"{exc.filename}: {exc.strerror}"), as_json="--json" in words)
        sys.exit(EXIT_USAGE)
    except Exception as exc:  # the outermost loop: whatever it is, it is no verdict about evidence
        _report_fault(exc)
    sys.exit(result if isinstance(result, int) else EXIT_OK)


def _report_fault(exc: Exception) -> NoReturn:
    """A fault of ours: its class and where it happened. Its words are left out, they may hold what was processed."""
    frames = "".join(traceback.format_list(traceback.extract_tb(exc.__traceback__)))
    click.echo(
        f"accesstrail: internal error {type(exc).__name__}; please report it with these lines\n{frames}", err=True
    )
    sys.exit(EXIT_SOFTWARE)


def _report(exc: AccesstrailError, *, as_json: bool) -> None:
    if as_json:
        body: dict[str, object] = {"error": exc.code, "message": str(exc)}
        if isinstance(exc, ConfigError):
            body["faults"] = list(exc.faults)
        click.echo(json.dumps(body, ensure_ascii=False), err=True)
    else:
        click.echo(f"accesstrail: {exc}", err=True)
