"""Whom processes run as (ENV-28, ENV-29)."""

from __future__ import annotations

import pwd

import pytest

from ucloud_ray.control.accounts import Accounts
from ucloud_ray.control.errors import BadRequest

JOB_USER = (11042, 11042)


def account(name: str, uid: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, uid + 1, "", f"/home/{name}", "/bin/sh"))


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {one.pw_name: one for one in (account("root", 0), account("daemon", 1), account("alice", 1000))}

    def getpwnam(name: str) -> pwd.struct_passwd:
        if "\0" in name:
            raise ValueError("embedded null byte")
        return known[name]

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)


def test_by_default_every_process_is_the_job_user() -> None:
    accounts = Accounts(JOB_USER)
    assert (accounts.of("alice"), accounts.login("alice")) == (JOB_USER, None)


def test_nobody_becomes_another_user_where_we_may_not_change_users() -> None:
    accounts = Accounts(None, "own")
    assert (accounts.of("alice"), accounts.login("alice")) == (None, None)


@pytest.mark.parametrize("user", ["alice", "Alice#1234"])
def test_users_run_as_their_own_account_or_the_one_that_is_configured(user: str) -> None:
    accounts = Accounts(JOB_USER, "own", {"Alice#1234": "alice"})
    assert (accounts.of(user), accounts.login(user)) == ((1000, 1001), "alice")


@pytest.mark.parametrize("user", ["root", "daemon", "mallory", "al\0ice", "", "chief"])
def test_nobody_runs_as_the_system_or_without_an_account(user: str) -> None:
    """Root not even when it is configured."""
    with pytest.raises(BadRequest, match="has no account on this provider's machines"):
        Accounts(JOB_USER, "own", {"chief": "root"}).of(user)


def test_a_system_account_serves_whoever_is_configured_to_have_it() -> None:
    assert Accounts(JOB_USER, "own", {"service": "daemon"}).of("service") == (1, 2)
