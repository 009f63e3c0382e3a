"""The command. `tocsin --help` lists it; each subcommand's help has an example and its exit codes."""

from __future__ import annotations

from importlib import import_module

import rich_click as click

COMMANDS = {  # name -> where it is; imported when it is asked for, so that the help is there at once
    "demo": "demo:demo",
    "up": "start:up",
    "run": "start:run",
    "check": "check:check",
    "replay": "replay:replay",
    "detectors": "detectors:detectors",
    "import": "feed:import_",
    "prices": "pricing:prices",
    "gate": "gate:gate",
    "release": "release:release",
    "control": "control:control",
    "incidents": "incidents:incidents",
    "approval": "approval:approval",
    "evaluator": "evaluator:evaluator",
    "outcome": "deciding:outcome",
    "case": "casework:case",
    "silence": "quieten:silence",
    "maintenance": "quieten:maintenance",
    "rollout": "quieten:rollout",
    "deadletters": "deadletters:deadletters",
}


class Commands(click.RichGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"streams.command.{module}"), attribute)
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tocsin")
def main() -> None:
    """Agents' failures become one ticket, one page and a release gate, while they happen.

    Start with: tocsin demo
    """


if __name__ == "__main__":
    main(prog_name="tocsin")
