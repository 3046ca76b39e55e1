"""Methods that are written once and work for clients that wait and for those that are awaited.

    @call(reads(Job))
    def retrieve(self, job_id: str) -> Plan[Json]: ...

        of a `Client`          client.jobs.retrieve(id) -> Job
        of an `AsyncClient`    await client.jobs.retrieve(id) -> Job
        of `Client.raw`        client.raw.jobs.retrieve(id) -> the JSON that the server sent

`each` does the same for what comes one after the other: an iterator, or an asynchronous one. The runner of a group, its
type parameter, says which of the three it is.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

import pydantic

from ucloud_ray.client.effects import Events, Plan
from ucloud_ray.client.errors import StrangeAnswer
from ucloud_ray.client.session import Session

if TYPE_CHECKING:
    from ucloud_ray.client.awaiting import Awaiting
    from ucloud_ray.client.blocking import Blocking, Plain

P = ParamSpec("P")
T = TypeVar("T")
Read = Callable[[Any], T]


class Runner(Protocol):
    """Carries plans out."""

    @property
    def session(self) -> Session: ...

    def call(self, plan: Generator[Any, Any, Any], read: Read[Any]) -> Any: ...

    def each(self, plan: Generator[Any, Any, Any], read: Read[Any]) -> Any: ...


R = TypeVar("R", bound=Runner)


class Group(Generic[R]):
    """Calls about one thing."""

    def __init__(self, runner: R) -> None:
        self._runner = runner

    @property
    def _session(self) -> Session:
        return self._runner.session


def as_it_is(answer: T) -> T:
    return answer


def nothing(answer: Any) -> None:
    return None


def reads(kind: type[T]) -> Read[T]:
    """JSON to a model of `ucloud_ray.wire`, or a list of them. Raises `StrangeAnswer` with the name of the field."""

    @functools.cache
    def adapter() -> pydantic.TypeAdapter[T]:  # made on first use: it takes a while
        return pydantic.TypeAdapter(kind)

    def read(answer: Any) -> T:
        try:
            found: T = adapter().validate_python(answer)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "it"
            raise StrangeAnswer(f"the server's answer cannot be read: {place}: {first['msg']}") from error
        return found

    return read


class Call(Generic[P, T]):
    def __init__(self, plan: Callable[Concatenate[Any, P], Plan[Any]], read: Read[T]) -> None:
        self._plan, self._read = plan, read
        self.__doc__ = plan.__doc__

    @overload
    def __get__(self, group: None, owner: Any = None) -> Call[P, T]: ...
    @overload
    def __get__(self, group: Group[Plain], owner: Any = None) -> Callable[P, Any]: ...
    @overload
    def __get__(self, group: Group[Blocking], owner: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, group: Group[Awaiting], owner: Any = None) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, group: Any, owner: Any = None) -> Any:
        if group is None:
            return self
        return bound(self._plan, group, lambda plan: group._runner.call(plan, self._read))


class Each(Generic[P, T]):
    def __init__(self, plan: Callable[Concatenate[Any, P], Events], read: Read[T]) -> None:
        self._plan, self._read = plan, read
        self.__doc__ = plan.__doc__

    @overload
    def __get__(self, group: None, owner: Any = None) -> Each[P, T]: ...
    @overload
    def __get__(self, group: Group[Plain], owner: Any = None) -> Callable[P, Iterator[Any]]: ...
    @overload
    def __get__(self, group: Group[Blocking], owner: Any = None) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, group: Group[Awaiting], owner: Any = None) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(self, group: Any, owner: Any = None) -> Any:
        if group is None:
            return self
        return bound(self._plan, group, lambda plan: group._runner.each(plan, self._read))


def call(read: Read[T]) -> Callable[[Callable[Concatenate[Any, P], Plan[Any]]], Call[P, T]]:
    return lambda plan: Call(plan, read)


def each(read: Read[T]) -> Callable[[Callable[Concatenate[Any, P], Events]], Each[P, T]]:
    return lambda plan: Each(plan, read)


def bound(plan: Callable[..., Any], group: Any, run: Callable[[Any], Any]) -> Callable[..., Any]:
    """A method with the name, the text and the parameters of the plan, as `help` and notebooks show them."""

    @functools.wraps(plan)
    def method(*args: Any, **named: Any) -> Any:
        return run(plan(group, *args, **named))

    parameters = list(inspect.signature(plan).parameters.values())[1:]
    vars(method)["__signature__"] = inspect.Signature(parameters)
    return method
