"""The whole of ucloud-ray as real processes: Ray, provider and orchestrator of one machine, with their own data.

`fresh_stack()` is a context manager: it starts one, and at its end stops it and fails if anything was left behind.
Tests that break things take one each; tests that only use it share one per session (`tests/e2e/conftest.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.support import images, leftovers
from tests.support.dockerd import PrivateDaemon
from tests.support.wait import wait_until
from ucloud_ray.cli import state_file
from ucloud_ray.orchestrator import tokens
from ucloud_ray.orchestrator.credentials import issue_user_token
from ucloud_ray.orchestrator.keys import ProviderKeys

Json = dict[str, Any]

FINAL = frozenset({"SUCCESS", "FAILURE", "EXPIRED"})
PROVIDER = "example"
COMMAND = (sys.executable, "-P", "-m", "ucloud_ray")
NO_DOCKER = "unix:///nonexistent/docker.sock"
"""Where no daemon ever answers."""

BATCH = {"name": "a-batch-application", "version": "1.0.0"}
NATIVE = {"name": "a-native-batch-application", "version": "1.0.0"}
NATIVE_SHELL = {"name": "native-shell", "version": "1.0.0"}
DOCKER_SHELL = {"name": "docker-shell", "version": "1.0.0"}
DOCKER_WEB = {"name": "docker-web", "version": "1.0.0"}
DOCKER_DESKTOP = {"name": "docker-desktop", "version": "1.0.0"}
"""Run the script in `var`. Not in the catalogue until `APPLICATIONS` was added to it."""

APPLICATIONS = Path(__file__).with_name("applications.yaml")


@dataclass
class Stack:
    """One installation. It runs between `up` and `down`; both may be called again and again on the same data."""

    data: Path
    docker_url: str
    prefix: Sequence[str] = ()
    """What the command line is run by, for a stack that lives in another network."""
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("UCLOUD_RAY")}
        self.environment = kept | {"DOCKER_HOST": self.docker_url, "UCLOUD_RAY_DATA": str(self.data)}

    # -- running it

    def up(self, *options: str) -> None:
        """Returns when everything answers. Fails with what the command said."""
        done = self.cli("up", "--detach", "--port", "0", "--provider-port", "0", *options)
        assert done.returncode == 0, f"`up` said {done.stderr!r}\n{self.logs()}"
        self.__dict__.pop("http", None)

    def down(self, *options: str) -> None:
        """Jobs go on, unless `--stop-jobs`."""
        done = self.cli("down", *options)
        assert done.returncode == 0, f"`down` said {done.stderr!r}\n{self.logs()}"

    def cli(self, *arguments: str, timeout: float = 90.0, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command line in a process of its own, in the folder above the data."""
        return subprocess.run(
            [*self.prefix, *COMMAND, *arguments],
            env=self.environment | environment,
            cwd=self.data.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def spawn(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, left running, both outputs in pipes. The caller ends it. It hears Ctrl-C also where the tests were
        started in the background of a shell, which makes everybody below deaf to it."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", *self.prefix, *COMMAND, *arguments],
            env=self.environment | {"PYTHONUNBUFFERED": "1"},
            cwd=self.data.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def state(self) -> state_file.UpState:
        found = state_file.read(self.data)
        assert found is not None, f"{self.data} has no state file"
        return found

    def pid(self, part: str) -> int:
        """`minder`, `ray`, `provider` or `orchestrator`."""
        return self.state.minder.pid if part == "minder" else self.state.parts[part].pid

    def kill(self, part: str, number: int = signal.SIGKILL) -> None:
        """As a crash; the minder starts it again."""
        os.kill(self.pid(part), number)

    def wait_restarted(self, part: str, old_pid: int) -> None:
        """Until the minder has put another process in its place. It may not answer yet: see `wait_answering`."""
        wait_until(lambda: self.pid(part) != old_pid and self.state.parts[part].alive(), f"{part} to be started again")

    def wait_answering(self) -> None:
        """Until the orchestrator answers and knows what the provider supports."""
        wait_until(self._answering, "orchestrator and provider to answer", timeout=60.0)

    def _answering(self) -> bool:
        with suppress(httpx.HTTPError):
            condition = httpx.get(f"{self.provider_url}/ucloud/{PROVIDER}/integration/retrieveCondition")
            return condition.status_code == 200 and bool(self.support())
        return False

    def logs(self) -> str:
        """The ends of the services' logs, for a failure message."""
        files = sorted((self.data / "logs-of-services").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in files)

    # -- talking to it

    @property
    def url(self) -> str:
        return self.state.orchestrator_url

    @property
    def provider_url(self) -> str:
        return self.state.provider_url

    def token(self, user: str = "user", admin: bool = False) -> str:
        return issue_user_token(self.data, user, admin=admin)

    @property
    def keys(self) -> ProviderKeys:
        """Both directions of the provider's trust, for making tokens that are right or wrong."""
        return ProviderKeys(self.data, PROVIDER)

    @cached_property
    def http(self) -> httpx.Client:
        """The end-user API as the user `user`."""
        headers = {"Authorization": f"Bearer {self.token()}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0)

    @cached_property
    def as_core(self) -> httpx.Client:
        """The provider API as UCloud/Core calls it."""
        headers = {"Authorization": f"Bearer {tokens.ServiceToken(self.keys).current()}"}
        base = f"{self.provider_url}/ucloud/{PROVIDER}"
        return httpx.Client(base_url=base, headers=headers, timeout=30.0)

    def get(self, path: str, **query: Any) -> Any:
        return _content(self.http.get(path, params=query))

    def post(self, path: str, *items: Json) -> Any:
        """A bulk request of these items."""
        return _content(self.http.post(path, json={"items": list(items)}))

    def support(self) -> list[Json]:
        """What the products of the provider can do, as a user sees it."""
        by_provider = self.get("/api/jobs/retrieveProducts")["productsByProvider"]
        return list(by_provider.get(PROVIDER, []))

    def add_shells(self) -> None:
        """`NATIVE_SHELL` and `DOCKER_SHELL`, as an administrator would."""
        added = self.cli("apps", "add", str(APPLICATIONS))
        assert added.returncode == 0, added.stderr

    # -- jobs

    def create(self, application: Mapping[str, str] = NATIVE, **changes: Any) -> str:
        """A job of the document; its id. `var="x"` is its parameter, everything else replaces a field."""
        return str(self.post("/api/jobs", specification(application, **changes))["responses"][0]["id"])

    def job(self, job_id: str, **flags: Any) -> Json:
        found: Json = self.get("/api/jobs/retrieve", id=job_id, includeUpdates="true", **flags)
        return found

    def wait_state(self, job_id: str, *states: str, timeout: float = 30.0) -> Json:
        """The job as soon as it is in one of `states`; FINAL if none is named. Fails with what was seen last."""
        wanted = states or tuple(FINAL)
        deadline = time.monotonic() + timeout
        while (job := self.job(job_id))["status"]["state"] not in wanted:
            if job["status"]["state"] in FINAL or time.monotonic() > deadline:
                raise AssertionError(f"job {job_id} is not {' or '.join(wanted)}: {story(job)}\n{self.logs()}")
            time.sleep(0.02)
        return job

    def run(self, application: Mapping[str, str] = NATIVE, **changes: Any) -> Json:
        """Create a job and wait until it is final."""
        return self.wait_state(self.create(application, **changes))

    def stop(self, *job_ids: str) -> None:
        """Terminate and wait until they are over; those that are final are left alone."""
        live = [job_id for job_id in job_ids if self.job(job_id)["status"]["state"] not in FINAL]
        if live:
            self.post("/api/jobs/terminate", *({"id": job_id} for job_id in live))
        for job_id in live:
            self.wait_state(job_id)

    def output(self, job_id: str) -> str:
        """What the program printed, as the command line shows it."""
        done = self.cli("jobs", "logs", job_id)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # -- the end

    def close(self) -> None:
        """Stop everything, jobs too; fails if something is left. Removes the data in any case."""
        try:
            self.down("--stop-jobs")
            leftovers.require_none(self.data, self.docker_url)
        finally:
            leftovers.remove(self.data, self.docker_url)
            for client in ("http", "as_core"):
                if client in self.__dict__:
                    self.__dict__[client].close()


def specification(application: Mapping[str, str] = NATIVE, var: str = "Example", **changes: Any) -> Json:
    """One item of `create`."""
    plain = {
        "application": dict(application),
        "product": {"id": "example-small", "category": "example-compute", "provider": PROVIDER},
        "replicas": 1,
        "allowDuplicateJob": True,
        "parameters": {"var": {"type": "text", "value": var}},
    }
    return plain | changes


def story(job: Json) -> str:
    """States and texts in order, in one line."""
    told = [f"{update.get('state') or ''} {update.get('status') or ''}".strip() for update in job["updates"]]
    return f"{job['status']['state']}; updates: {json.dumps(told)}"


def states(job: Json) -> list[str]:
    """As a user saw them one after another."""
    return [update["state"] for update in job["updates"] if update.get("state")]


def texts(job: Json) -> list[str]:
    return [update["status"] for update in job["updates"] if update.get("status")]


@contextmanager
def fresh_stack(docker_url: str = NO_DOCKER, options: Sequence[str] = ()) -> Iterator[Stack]:
    """A stack of its own. Two that run at once need a daemon each: containers are named by the job's id."""
    stack = new_stack(docker_url)
    try:
        stack.up(*options)
        yield stack
    finally:
        stack.close()


def new_stack(docker_url: str = NO_DOCKER) -> Stack:
    """One that is not started; the caller closes it."""
    folder = Path(tempfile.mkdtemp(prefix="stack-"))
    folder.chmod(0o711)  # processes of jobs run as another user
    return Stack(folder / "data", docker_url)


@contextmanager
def fresh_daemon() -> Iterator[PrivateDaemon]:
    """A Docker daemon of its own with the batch image, for tests that stop or kill it. Needs root."""
    daemon = PrivateDaemon(Path(tempfile.mkdtemp(prefix="dockerd-")))
    try:
        daemon.start()
        images.batch_image(daemon.url)
        yield daemon
    finally:
        daemon.remove()


def _content(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, (
        f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    )
    return answer.json()
