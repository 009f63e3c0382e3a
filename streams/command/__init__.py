"""The command: each file one family of subcommands. They wire, they do not decide."""
