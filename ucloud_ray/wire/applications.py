"""Applications and tools: what a job runs (`spec` models 7 and 8, and the catalogue of the mission document)."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ucloud_ray.wire.common import Model, NameAndVersion, SimpleDuration, WireMap

# ------------------------------------------------------------------------------------------------- invocation


class InvocationParameter(Model):
    """One piece of the command line, of any variant (`word`, `var`, `bool_flag`, `env`, `jinja`).

    Kept as one model with the fields of all variants, which is how G sends it; `domain.invocation` knows what each
    variant means. Writing leaves out what is not set.
    """

    type: str
    word: str | None = None
    variable: str | None = None
    variable_names: list[str] | None = None
    prefix_global: str | None = None
    suffix_global: str | None = None
    prefix_variable: str | None = None
    suffix_variable: str | None = None
    is_prefix_variable_part_of_arg: bool | None = None
    is_suffix_variable_part_of_arg: bool | None = None
    variable_name: str | list[str] | None = None
    """The documentation shows a list of one name (INV-9)."""
    flag: str | None = None
    template: str | None = None


class EnumOption(Model):
    name: str
    value: str


class ApplicationParameter(Model):
    """A declared parameter, of any type; the fields after `description` belong to single types."""

    type: str
    name: str = ""
    optional: bool = False
    default_value: Any = None
    """A bare JSON value or `{"type", "value"}` (INV-4)."""
    title: str = ""
    description: str = ""
    min: int | float | None = None
    max: int | float | None = None
    step: int | float | None = None
    unit_name: str | None = None
    true_value: str | None = None
    false_value: str | None = None
    options: list[EnumOption] | None = None
    tagged: list[str] | None = None
    suggested_application: str | None = None
    supported_modules: list[dict[str, Any]] | None = None


# ------------------------------------------------------------------------------------------------------- tool


class LoadInstructions(Model):
    """Software to load for a process; of the current Core."""

    applications: list[NameAndVersion] = Field(default_factory=list)


class ToolDescription(Model):
    info: NameAndVersion
    container: str | None = None
    """Older name of `image`."""
    default_number_of_nodes: int = 1
    default_time_allocation: SimpleDuration = Field(default_factory=lambda: SimpleDuration(hours=1))
    required_modules: list[str] = Field(default_factory=list)
    authors: list[str] = Field(default_factory=list)
    title: str = ""
    description: str = ""
    backend: str = "DOCKER"
    """`DOCKER`, `SINGULARITY`, `VIRTUAL_MACHINE`, `NATIVE`; G also `UCX`."""
    license: str = ""
    image: str | None = None
    supported_providers: list[str] | None = None
    """None: every provider."""
    load_instructions: LoadInstructions | None = None


class Tool(Model):
    owner: str = ""
    created_at: int = 0
    modified_at: int = 0
    description: ToolDescription


class ToolReference(Model):
    name: str
    version: str
    tool: Tool | None = None


# ------------------------------------------------------------------------------------------------ application


class VncDescription(Model):
    password: str | None = Field(default=None, repr=False)
    port: int = 5900


class WebDescription(Model):
    port: int = 80


class SshDescription(Model):
    mode: str = "DISABLED"
    """`DISABLED`, `OPTIONAL`, `MANDATORY`."""


class ContainerDescription(Model):
    change_working_directory: bool = True
    run_as_root: bool = False
    run_as_real_user: bool = False


class ApplicationInvocationDescription(Model):
    tool: ToolReference
    invocation: list[InvocationParameter] = Field(default_factory=list)
    parameters: list[ApplicationParameter] = Field(default_factory=list)
    output_file_globs: list[str] = Field(default_factory=list)
    application_type: str = "BATCH"
    """`BATCH`, `VNC`, `WEB`."""
    vnc: VncDescription | None = None
    web: WebDescription | None = None
    ssh: SshDescription | None = None
    container: ContainerDescription | None = None
    environment: WireMap[InvocationParameter] | None = None
    allow_additional_mounts: bool | None = None
    allow_additional_peers: bool | None = None
    allow_multi_node: bool = False
    allow_public_ip: bool = False
    allow_public_link: bool | None = None
    file_extensions: list[str] = Field(default_factory=list)
    license_servers: list[str] = Field(default_factory=list)


class ApplicationMetadata(Model):
    name: str
    version: str
    authors: list[str] = Field(default_factory=list)
    title: str = ""
    description: str = ""
    website: str | None = None
    public: bool = True
    flavor_name: str | None = None
    created_at: int | None = None


class Application(Model):
    metadata: ApplicationMetadata
    invocation: ApplicationInvocationDescription


class ApplicationWithFavoriteAndTags(Application):
    """What the catalogue answers for one application."""

    favorite: bool = False
    tags: list[str] = Field(default_factory=list)


class ApplicationSummaryWithFavorite(Model):
    """One line of the catalogue."""

    metadata: ApplicationMetadata
    favorite: bool = False
    tags: list[str] = Field(default_factory=list)


class CataloguePage(Model):
    """The older paging of the catalogue, `Page`."""

    items_in_total: int
    items_per_page: int
    page_number: int = 0
    items: list[ApplicationSummaryWithFavorite] = Field(default_factory=list)
