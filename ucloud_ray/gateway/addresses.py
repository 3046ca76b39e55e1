"""Names of web pages of jobs: an origin for each job and rank (IS-19), made here and read again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from ucloud_ray.settings import Settings

AUTHORIZE = "authorize-app"


class Page(NamedTuple):
    job: str
    rank: int


@dataclass(frozen=True, slots=True)
class WebAddresses:
    provider_id: str
    prefix: str
    suffix: str
    scheme: str
    port: int | None
    """None: the usual one of the scheme."""

    @staticmethod
    def of(settings: Settings) -> WebAddresses:
        provider, gateway = settings.provider, settings.gateway
        url = urlsplit(gateway.url or provider.public_url or f"http://{provider.listen}")
        prefix, suffix = gateway.domain_prefix.lower(), gateway.domain_suffix.lower()
        return WebAddresses(provider.id, prefix, suffix, url.scheme, url.port)

    def authorize(self, page: Page, ticket: str) -> str:
        """Absolute, with its scheme (W9)."""
        return f"{self.origin(page)}/ucloud/{self.provider_id}/{AUTHORIZE}?token={ticket}"

    def origin(self, page: Page) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.prefix}{page.job}-{page.rank}{self.suffix}{port}"

    def desktop(self, ticket: str) -> str:
        """Relative to the provider's own address."""
        return f"/ucloud/{self.provider_id}/vnc?token={ticket}"

    def page_of(self, host: str) -> Page | None:
        """Of a `Host` header; None for a name that is not of a page."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        name = name.lower()
        if not (name.startswith(self.prefix) and name.endswith(self.suffix)):
            return None
        job, dash, rank = name[len(self.prefix) : len(name) - len(self.suffix)].rpartition("-")
        return Page(job, int(rank)) if dash and job and rank.isdecimal() and rank == str(int(rank)) else None
