"""A real container registry on loopback (Debian's docker-registry), images put into it without a daemon, and what
stands between it and a daemon in a test: a line that is slow, and servers that answer wrongly.

Daemons take registries on loopback without TLS.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import bcrypt
import httpx

from tests.support.wait import wait_until

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
USERNAME, PASSWORD = "puller", "s3cret-of-the-registry"

_LINE = re.compile(r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/1.1" (?P<status>\d+)')


def missing() -> str | None:
    """Why no registry can be run here, or None."""
    return None if shutil.which("docker-registry") else "docker-registry is not installed (Debian: docker-registry)"


@dataclass
class Registry:
    """Keeps its images and its port when it is stopped and started again."""

    folder: Path
    login: bool = False
    """Whether every request needs `USERNAME` and `PASSWORD`."""
    port: int = field(default_factory=lambda: _free_port())
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", str(self._configuration())],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
            )
        wait_until(self._answers, f"the registry to answer; see {self.folder}/log")

    def kill(self) -> None:
        """As a crash; what it sends breaks off."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=10)
            self.process = None

    def put(self, name: str, tag: str, layers: list[bytes], **changes: Any) -> str:
        """An image of these layers (archives, as `layer` makes them); how a daemon calls it. `changes` go into its
        configuration, `architecture="arm64"` say."""
        with httpx.Client(base_url=f"http://{self.host}/v2/{name}", auth=self._auth(), timeout=30) as http:
            manifest = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _upload(http, CONFIG, _configuration(layers, changes)),
                "layers": [_upload(http, LAYER, content) for content in layers],
            }
            _put_manifest(http, tag, manifest)
        return f"{self.host}/{name}:{tag}"

    def put_list(self, name: str, tag: str, of: str, platform: Mapping[str, str]) -> str:
        """A list of manifests with the image `of` (a tag of the same name) for one platform only."""
        with httpx.Client(base_url=f"http://{self.host}/v2/{name}", auth=self._auth(), timeout=30) as http:
            found = http.get(f"/manifests/{of}", headers={"Accept": MANIFEST})
            entry = {**_descriptor(MANIFEST, found.content), "platform": dict(platform)}
            listed = {"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": [entry]}
            _put_manifest(http, tag, listed)
        return f"{self.host}/{name}:{tag}"

    def digest(self, name: str, tag: str) -> str:
        """Of an image's manifest."""
        url = f"http://{self.host}/v2/{name}/manifests/{tag}"
        return httpx.head(url, auth=self._auth(), headers={"Accept": MANIFEST}).headers["Docker-Content-Digest"]

    def requests(self, name: str) -> list[tuple[str, str, int]]:
        """Method, path and status of everything that was asked about images of this name, in order."""
        found = _LINE.finditer((self.folder / "log").read_text(errors="replace"))
        return [(m["method"], m["path"], int(m["status"])) for m in found if m["path"].startswith(f"/v2/{name}/")]

    def fetched(self, name: str) -> list[str]:
        """Paths of the manifests and layers that were handed out, in order."""
        return [path for method, path, status in self.requests(name) if method == "GET" and status == 200]

    def _answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"the registry ended: {(self.folder / 'log').read_text()[-2000:]}")
        try:
            return httpx.get(f"http://{self.host}/v2/", auth=self._auth()).status_code == 200
        except httpx.TransportError:
            return False

    def _auth(self) -> httpx.BasicAuth | None:
        return httpx.BasicAuth(USERNAME, PASSWORD) if self.login else None

    def _configuration(self) -> Path:
        configuration: dict[str, Any] = {
            "version": "0.1",
            "log": {"accesslog": {"disabled": False}, "level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "images")}},
            "http": {"addr": self.host},
        }
        if self.login:
            users = self.folder / "htpasswd"
            users.write_text(f"{USERNAME}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
            configuration["auth"] = {"htpasswd": {"realm": "test", "path": str(users)}}
        file = self.folder / "config.yml"
        file.write_text(json.dumps(configuration))  # JSON is YAML
        return file


def layer(files: Mapping[str, bytes]) -> bytes:
    """An archive with these files, executable."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def program_layer() -> bytes:
    """The smallest thing that runs: a shell."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    return layer({"bin/sh": Path(busybox).read_bytes()})


def noise(megabytes: int) -> bytes:
    """A layer that no compression makes smaller, another one each time."""
    return layer({f"noise-{os.urandom(8).hex()}": os.urandom(megabytes * 10**6)})


def _configuration(layers: list[bytes], changes: Mapping[str, Any]) -> bytes:
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [_digest(content) for content in layers]},
    }
    return json.dumps(configuration | dict(changes)).encode()


def _upload(http: httpx.Client, kind: str, content: bytes) -> dict[str, Any]:
    begun = http.post("/blobs/uploads/")
    assert begun.status_code == 202, begun.text
    done = http.put(begun.headers["Location"], params={"digest": _digest(content)}, content=content)
    if done.status_code != 201:  # the location has a query of its own, which httpx replaces
        location = httpx.URL(begun.headers["Location"]).copy_add_param("digest", _digest(content))
        done = http.put(location, content=content)
    assert done.status_code == 201, done.text
    return _descriptor(kind, content)


def _put_manifest(http: httpx.Client, tag: str, manifest: dict[str, Any]) -> None:
    content = json.dumps(manifest).encode()
    done = http.put(f"/manifests/{tag}", content=content, headers={"Content-Type": manifest["mediaType"]})
    assert done.status_code == 201, done.text


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(content), "digest": _digest(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


# ---------------------------------------------------------------------------------------------------- in between


class SlowLine:
    """A TCP line to a port on loopback that lets so many bytes a second through towards the caller. `rate` may be
    changed while it is in use; None: as fast as it goes."""

    def __init__(self, target_port: int, rate: int | None) -> None:
        self.rate = rate
        self.connections = 0
        """That are open."""
        self.carried = 0
        """Bytes towards callers."""
        self._counting = threading.Lock()
        self._target = target_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(caller,), daemon=True).start()

    def _connect(self, caller: socket.socket) -> None:
        try:
            target = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            caller.close()
            return
        self._count(1)
        threading.Thread(target=self._copy, args=(caller, target, False), daemon=True).start()
        self._copy(target, caller, True)
        self._count(-1)

    def _count(self, change: int) -> None:
        with self._counting:
            self.connections += change

    def _copy(self, source: socket.socket, target: socket.socket, slowly: bool) -> None:
        try:
            while piece := source.recv(16_384):
                target.sendall(piece)
                self.carried += len(piece) if slowly else 0
                if slowly and self.rate:
                    self._ended.wait(len(piece) / self.rate)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


@dataclass
class Answers:
    """A server that says the same whatever image is asked for."""

    status: int
    kind: str
    content: bytes
    asked: list[str] = field(default_factory=list)
    host: str = ""


@contextmanager
def answering(status: int, kind: str, content: bytes) -> Iterator[Answers]:
    """A registry only in that `/v2/` answers 200."""
    answers = Answers(status, kind, content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/v2/":
                self._say(200, "application/json", b"{}")
                return
            answers.asked.append(self.path)
            self._say(answers.status, answers.kind, answers.content)

        def do_HEAD(self) -> None:
            self.do_GET()

        def _say(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answers.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
