"""Elementary's command ``edr``, without its question to PyPI for a newer version: ``python -m growth.edr``.

It asks while it is being imported, before it reads the configuration that it is given.
"""

from __future__ import annotations


def main() -> None:
    """Run the command with the arguments of this process."""
    from elementary.cli import upgrade

    upgrade.recommend_version_upgrade = lambda: None
    from elementary.cli.cli import cli

    cli(prog_name="edr")


if __name__ == "__main__":
    main()
