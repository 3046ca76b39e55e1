"""Calls of the programs `nft` and `iptables`. Blocking; called by `node_network` in a thread.

Programs and not a library: theirs is the stable interface, and nftables' Python binding comes with the distribution
and not with pip.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from runtimes.errors import RuntimeUnavailable

_SECONDS = 60.0
_SHOWN = 300
# Before Docker's own rules in there hand the request on to the port that it really listens on.


class Missing(RuntimeUnavailable):
    """The program is not on this machine."""


def apply(script: str) -> None:
    """All of it or nothing. Raises `errors.RuntimeUnavailable` with nft's words."""
    done = _call(["nft", "-f", "-"], script)
    if done.returncode != 0:
        raise RuntimeUnavailable(
            f"The kernel refused the firewall of the containers' network; nft says: {_words(done.stderr)}. "
            "Load the modules nf_tables and nft_nat, and run as root."
        )


def chains(table: str) -> set[tuple[str, str]]:
    """Family and name of the chains in tables called `table`. Raises `errors.RuntimeUnavailable`."""
    done = _call(["nft", "-j", "list", "chains"])
    if done.returncode != 0:
        raise RuntimeUnavailable(f"nft cannot list its chains: {_words(done.stderr)}. Run as root.")
    found = (entry["chain"] for entry in json.loads(done.stdout)["nftables"] if "chain" in entry)
    return {(chain["family"], chain["name"]) for chain in found if chain["table"] == table}


def admit_to_bridge(bridge: str) -> None:
    """Where Docker filters what machines forward, it drops what comes for our bridge, unless its users' chain says
    otherwise; our own table has judged by then. Nothing to do where Docker does not filter."""
    if not admitted_to_bridge(bridge):
        _iptables("-I", *_admission(bridge), required=True)


def admitted_to_bridge(bridge: str) -> bool:
    return not _docker_filters() or _iptables("-C", *_admission(bridge))


def no_longer_admit(bridge: str) -> None:
    if not _docker_filters():
        return
    while _iptables("-C", *_admission(bridge)):
        _iptables("-D", *_admission(bridge), required=True)


def _admission(bridge: str) -> tuple[str, ...]:
    return ("DOCKER-USER", "-o", bridge, "-j", "ACCEPT")


def _docker_filters() -> bool:
    try:
        return _iptables("-S", "DOCKER-USER")
    except Missing:
        return False  # Then Docker cannot filter either.


def _iptables(*words: str, required: bool = False) -> bool:
    done = _call(["iptables", "--wait", "10", *words])
    if required and done.returncode != 0:
        raise RuntimeUnavailable(f"iptables cannot change Docker's chain DOCKER-USER: {_words(done.stderr)}.")
    return done.returncode == 0


def _call(words: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as missing:
        raise Missing(f"{words[0]} is not installed: install the package nftables (or iptables).") from missing
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeUnavailable(f"{words[0]} could not be run: {type(error).__name__}.") from error


def _words(told: str) -> str:
    return " ".join(told.split())[:_SHOWN]
