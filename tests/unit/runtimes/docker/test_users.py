"""Who an image's USER is, by the rules of Docker and the files of the image (ENV-34, ENV-35)."""

from __future__ import annotations

import pytest

from runtimes.docker import users
from runtimes.docker.users import AS_ROOT, Accounts, RunsAs
from runtimes.errors import InvalidTask

ACCOUNTS = Accounts(
    passwd="root:x:0:0:root:/root:/bin/sh\n# a comment\napp:x:1000:1001::/:\nbroken:x:one:two::/:\n7:x:2000:2000::/:\n",
    group="app:x:1001:\naudio:x:29:other,app\nvideo:x:44:app\nodd:x:nan:app\n",
)


@pytest.mark.parametrize(
    ("user", "who"),
    [
        ("", AS_ROOT),
        ("root", RunsAs(0, 0)),
        ("0", RunsAs(0, 0)),
        ("000", RunsAs(0, 0)),
        ("app", RunsAs(1000, 1001, (29, 44))),
        ("1000", RunsAs(1000, 1001, (29, 44))),
        ("app:audio", RunsAs(1000, 29)),
        ("app:5", RunsAs(1000, 5)),
        ("3000", RunsAs(3000, 0)),
        ("3000:4000", RunsAs(3000, 4000)),
        ("7", RunsAs(2000, 2000)),
    ],
)
def test_names_and_numbers_are_looked_up_in_the_image(user: str, who: RunsAs) -> None:
    assert users.of_image("acme:1", user, ACCOUNTS) == who


@pytest.mark.parametrize("user", ["stranger", "broken", "+0", "-1", "0x0", "\u0660", "99999999999", "app:strangers"])
def test_who_is_not_known_is_refused_and_never_guessed(user: str) -> None:
    with pytest.raises(InvalidTask, match="does not know"):
        users.of_image("acme:1", user, ACCOUNTS)


@pytest.mark.parametrize(
    ("user", "needs"),
    [("", False), ("1:2", False), ("1", True), ("app", True), ("app:2", True), ("1:app", True), ("1:", True)],
)
def test_an_image_is_only_looked_into_for_what_numbers_do_not_say(user: str, needs: bool) -> None:
    assert users.needs_accounts(user) is needs


def test_root_is_refused_in_words() -> None:
    users.refuse_root("acme:1", RunsAs(1, 0))
    with pytest.raises(InvalidTask, match="acme:1 runs as root"):
        users.refuse_root("acme:1", AS_ROOT)
