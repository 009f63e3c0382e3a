"""The command. `tocsin --help` lists it; each subcommand's help has an example and its exit codes."""

from __future__ import annotations

import rich_click as click

from .command.demo import demo
from .command.start import run, up

click.rich_click.TEXT_MARKUP = "rich"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tocsin")
def main() -> None:
    """Agents' failures become one ticket, one page and a release gate, while they happen.

    Start with: tocsin demo
    """


for command in (demo, up, run):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="tocsin")
