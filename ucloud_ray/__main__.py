"""`python -m ucloud_ray` and the `ucloud-ray` command."""

from __future__ import annotations


def main() -> None:
    from ucloud_ray.cli import main as cli

    cli.run()


if __name__ == "__main__":
    main()
