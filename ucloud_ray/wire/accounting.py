"""Charging, usage and tokens of the control API (`spec` models 16, control-api 2.1, 5.3 and 8)."""

from __future__ import annotations

from pydantic import Field

from ucloud_ray.wire.common import FindByStringId, Model


class RefreshToken(Model):
    refresh_token: str = Field(repr=False)


class AccessToken(Model):
    access_token: str = Field(repr=False)


class ChargeItem(Model):
    """Item of `chargeCredits` and `checkCredits`."""

    id: str
    """Job id."""
    charge_id: str
    """Unique per charge."""
    units: int
    periods: int = 1
    performed_by: str | None = None
    description: str | None = None


class ChargeResponse(Model):
    insufficient_funds: list[FindByStringId] = Field(default_factory=list)
    duplicate_charges: list[FindByStringId] = Field(default_factory=list)


class WalletOwner(Model):
    type: str
    """`user` or `project`."""
    username: str | None = None
    project_id: str | None = None


class ProductCategoryIdV2(Model):
    name: str
    provider: str


class UsageDescription(Model):
    scope: str | None = None
    """What is charged, such as `job-<id>`; never left out (O5)."""
    description: str | None = None


class UsageReport(Model):
    """Item of `reportUsage`."""

    is_delta_charge: bool
    owner: WalletOwner
    category_id_v2: ProductCategoryIdV2
    usage: int
    description: UsageDescription
