"""Settings of the orchestrator as a plain dataclass. Says what, unit and why; reads nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ucloud_ray.settings import DriveSettings, OrchestratorOptions, ProductSettings, Settings

EXAMPLE_PRODUCT = ProductSettings(
    name="example-compute",
    category="example-compute",
    cpu=10,
    memory_in_gigs=20,
    description="An example compute product",
)
"""The machine type of the mission document."""

_SEEDS = Path(__file__).parent / "seeds"


@dataclass(frozen=True, slots=True)
class OrchestratorSettings:
    listen: str = "127.0.0.1:8080"
    """HOST:PORT of the API; port 0 takes any free one."""
    public_url: str | None = None
    """What users use; `http://<listen>` when None."""
    data_dir: Path = Path("ucloud-ray-data")
    """Keys lie below `orchestrator/` of it, and the database unless `database` names another."""
    database: str | None = None
    """SQLAlchemy URL; `sqlite:///<dataDir>/orchestrator.db` when None."""
    provider_id: str = "example"
    provider_url: str = "http://127.0.0.1:8889"
    """Origin that provider calls go to."""
    provider_public_url: str | None = None
    """Origin that a browser uses for sessions; `provider_url` when None."""
    products: tuple[ProductSettings, ...] = (EXAMPLE_PRODUCT,)
    """What the provider sells, as registered here; it decides itself which of them it supports."""
    drives: tuple[DriveSettings, ...] = ()
    """Those that users may share; the provider has the same ones."""
    automatic_homes: bool = True
    """Whether the provider makes a drive for a user who has none of these."""
    catalogue: tuple[Path, ...] = field(default_factory=lambda: tuple(sorted(_SEEDS.glob("*.yaml"))))
    """Tool and application documents that are in the catalogue from the start."""
    max_body_bytes: int = 16 * 1024 * 1024
    """Requests above this are answered 413 and not read further."""
    call_timeout_seconds: float = 5.0
    """Of one provider call, in total (provider-api 1.2)."""
    retry_pause_seconds: float = 0.5
    """Between repetitions after 449 or 503 (O15)."""
    support_poll_seconds: float = 10.0
    """Provider-api 8.1."""
    support_backoff_seconds: float = 2.0
    """Longest pause while nothing at the provider answers. UCloud/Core waits up to 20 s; on one machine a provider
    that restarts should be seen sooner."""
    support_wait_seconds: float = 2.0
    """How long the start waits for the first answer of the provider (O16)."""
    follow_drain_seconds: float = 5.0
    """How long a follow of a final job waits for more output from a provider that sends none and does not end."""
    ping_seconds: float = 60.0
    """Keep-alive of follow sockets (end-user-api 7)."""
    options: OrchestratorOptions = field(default_factory=OrchestratorOptions)
    """What an operator may set."""

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data_dir.resolve() / 'orchestrator.db'}"

    @property
    def provider_domain(self) -> str:
        return (self.provider_public_url or self.provider_url).rstrip("/")


def orchestrator_settings(settings: Settings) -> OrchestratorSettings:
    """The orchestrator that goes with a provider's configuration: it listens at `core.url`, calls `provider.publicUrl`
    and has the configured products registered."""
    url = urlsplit(settings.core.url)
    provider = settings.provider.public_url or f"http://{settings.provider.listen}"
    return OrchestratorSettings(
        listen=f"{url.hostname or '127.0.0.1'}:{url.port or (443 if url.scheme == 'https' else 80)}",
        public_url=settings.core.url,
        data_dir=settings.data_dir,
        provider_id=settings.provider.id,
        provider_url=provider,
        products=settings.products or (EXAMPLE_PRODUCT,),
        drives=settings.drives,
        automatic_homes=settings.policy.automatic_homes,
        options=settings.orchestrator,
    )
