"""The mission document's Acme: an installation of its own with the applications of its examples, and their drives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e import mission
from tests.support import dockerd
from tests.support.dockerd import PrivateDaemon
from tests.support.stack import Stack, fresh_daemon, new_stack

APPLICATIONS = Path(__file__).with_name("acme.yaml")
WEB_APP = {"name": "acme-web-app", "version": "1.0.0"}
SMALL = {"parameters": {}, "product": {"id": "example-small", "category": "example-compute", "provider": "example"}}
OTHER_USER = "colleague"
"""Who owns the drive 12512 of the document."""
CONFIG = """
drives:
  - {{id: "123", title: Data, path: {path}/drive, owner: {{type: user, username: user}}}}
  - {{id: "12512", title: Data of a colleague, path: {path}/colleague, owner: {{type: user, username: colleague}}}}
"""


@dataclass
class Acme:
    stack: Stack
    daemon: PrivateDaemon
    answers: list[Any] = field(default_factory=list)
    """Of the document's two commands."""

    @property
    def ids(self) -> list[str]:
        """Database and web application of the document."""
        return [answer["responses"][0]["id"] for answer in self.answers]

    def follow_the_document(self) -> None:
        """Its second command names the id that its first one was answered; ours is another number."""
        for step in mission.steps(mission.CONNECT):
            command = step.command.replace("4101", self.ids[0]) if self.answers else step.command
            answer = mission.curl(command, self.stack.url, self.stack.token())
            assert "responses" in answer, f"{answer}\n{self.stack.logs()}"
            self.answers.append(answer)
            self.stack.wait_state(self.ids[-1], "RUNNING")

    def web_app(self, of: str, **changes: Any) -> str:
        """Another one, connected with that job as `database`; it runs."""
        peer = {"type": "peer", "hostname": "database", "jobId": of}
        job_id = self.stack.create(WEB_APP, resources=[peer], **{**SMALL, **changes})
        self.stack.wait_state(job_id, "RUNNING")
        return job_id

    def ask(self, job_id: str, name: str, port: int, rank: int = 0) -> str:
        """What that rank hears from there; empty if nobody answers within a second. A server that just answered
        somebody else may need a moment until it listens again, and refuses meanwhile."""
        with closing(dockerd.client(self.daemon.url)) as api:
            attempt = f"nc -w 1 {name} {port} </dev/null 2>/dev/null"
            script = (
                f'for pause in 0 0.1 0.3; do sleep $pause; said=$({attempt}); [ -n "$said" ] && break; done; echo $said'
            )
            made = api.exec_create(f"j-{job_id}-job-{rank}", ["/bin/sh", "-c", script])
            return str(api.exec_start(made["Id"]).decode()).strip()


@contextmanager
def acme_installation() -> Iterator[Acme]:
    """Runs until the caller is done; needs root and Debian's docker.io."""
    with fresh_daemon() as daemon:
        stack = new_stack(daemon.url)
        try:
            _make_drives(stack.data.parent)
            (stack.data.parent / "ucloud-ray.yaml").write_text(CONFIG.format(path=stack.data.parent))
            stack.up()
            assert stack.cli("apps", "add", str(APPLICATIONS)).returncode == 0
            yield Acme(stack, daemon)
        finally:
            stack.close()


def _make_drives(folder: Path) -> None:
    for part in ("drive/acme-database", "colleague/shared"):
        (folder / part).mkdir(parents=True)
    (folder / "drive/acme-database/greeting").write_text("42 customers\n")
    (folder / "colleague/shared/data").write_text("theirs\n")
