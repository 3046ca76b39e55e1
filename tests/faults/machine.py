"""Everything on this machine that jobs of a stack add to. A view of `tests.support.leftovers` for the inspection."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import yaml

from tests.support import leftovers
from tests.support.stack import Stack
from ucloud_ray.cli.embedded import EFFECTIVE_FILE

RULES = "firewall rules"


def snapshot(stack: Stack) -> dict[str, set[str]]:
    found = leftovers.snapshot(stack.data, stack.docker_url)
    return found | {RULES: {rule for rule in found[RULES] if _about_containers(rule, stack)}}


def _about_containers(rule: str, stack: Stack) -> bool:
    """Not about this machine's own addresses, which others who work on it may change meanwhile."""
    own = ip_network(yaml.safe_load((stack.data / EFFECTIVE_FILE).read_text())["network"]["range"])
    return any(ip_address(address) in own for address in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", rule))
