"""The provider application around a recording service, called as UCloud/Core does."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI

from tests.unit.provider.fakes import RecordingService, ScriptedFollower, ScriptedReader
from ucloud_ray.provider.app import create_app
from ucloud_ray.provider.auth import TokenVerifier
from ucloud_ray.settings import DriveOwner, DriveSettings, ProductSettings, ProviderSettings, Settings

SETTINGS = Settings(
    provider=ProviderSettings(id="example", max_body_bytes=200_000),
    products=(
        ProductSettings("cpu-1", "cpu", cpu=1.5, memory_in_gigs=4),
        ProductSettings("cpu-2", "cpu", cpu=2, memory_in_gigs=8),
        ProductSettings("vm-1", "vm", cpu=1, memory_in_gigs=4),
        ProductSettings("example-compute-1", "example-compute", cpu=1, memory_in_gigs=2),
    ),
    drives=(DriveSettings("87", "Home", Path("/srv/87"), DriveOwner("user", "alice")),),
)


@dataclass(frozen=True)
class Keys:
    private: rsa.RSAPrivateKey
    public: str
    """Base64 DER, as the Core shows it."""

    @property
    def pem(self) -> str:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="session")
def keys() -> Keys:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Keys(private, base64.b64encode(der).decode())


def core_claims(**changes: Any) -> dict[str, Any]:
    """What the Core of G was seen to send (O23); a change to None leaves the claim out."""
    now = int(time.time())
    claims = {
        "principalType": "service", "role": "SERVICE", "iss": "cloud.sdu.dk", "sub": "_UCloud", "aud": ["all:write"],
        "exp": now + 600, "iat": now,
    }  # fmt: skip
    return {name: value for name, value in (claims | changes).items() if value is not None}


Sign = Callable[..., str]


@pytest.fixture(scope="session")
def sign(keys: Keys) -> Sign:
    """Makes tokens with the Core's key: `sign(sub="...")`."""
    return lambda **changes: jwt.encode(core_claims(**changes), keys.private, algorithm="RS256")


@pytest.fixture(scope="session")
def core_headers(sign: Sign) -> dict[str, str]:
    """For longer than a session of tests may take."""
    token = sign(exp=int(time.time()) + 4 * 3600)
    return {"Authorization": f"Bearer {token}", "Ucloud-Username": base64.b64encode(b"alice").decode()}


@pytest.fixture(scope="session")
def verifier(keys: Keys) -> TokenVerifier:
    return TokenVerifier(keys.public)


@dataclass(frozen=True)
class World:
    """Built once, because FastAPI takes its time; the two edges are as new in every test."""

    service: RecordingService
    follower: ScriptedFollower
    reader: ScriptedReader
    app: FastAPI


@pytest.fixture(scope="session")
def world(verifier: TokenVerifier) -> World:
    service, follower, reader = RecordingService(), ScriptedFollower(), ScriptedReader()
    return World(service, follower, reader, create_app(service, follower, reader, SETTINGS, verifier))


@pytest.fixture
def service(world: World) -> RecordingService:
    world.service.reset()
    return world.service


@pytest.fixture
def follower(world: World) -> ScriptedFollower:
    world.follower.reset()
    return world.follower


@pytest.fixture
def reader(world: World) -> ScriptedReader:
    world.reader.reset()
    return world.reader


@pytest.fixture
def app(world: World, service: RecordingService, follower: ScriptedFollower) -> FastAPI:
    return world.app


@pytest.fixture
async def stranger(app: FastAPI) -> Any:
    """A client without a token."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://provider") as client:
        yield client


@pytest.fixture
async def core(stranger: httpx.AsyncClient, core_headers: dict[str, str]) -> httpx.AsyncClient:
    """UCloud/Core on behalf of alice. Sends no Content-Type, like G."""
    stranger.headers.update(core_headers)
    return stranger
