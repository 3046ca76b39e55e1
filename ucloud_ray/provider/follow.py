"""The socket on which UCloud/Core reads the output of jobs (provider-api 7.0 and 7.1, LOG-1 to LOG-14).

One socket carries any number of streams. `Socket` reads the requests of the Core; each `init` becomes a task that
copies from the `LogFollower` until the job is over, a `cancel` arrives or the socket closes (`streams`).

Two eras share it (D13). K pools sockets, uses several streams and may put the token into the frames; G opens one
socket per follow, never cancels, and needs the end of the socket to notice the end of the stream. G names its user in
the query, K in a header: G's page understands extra channels and gets them (W15), K gets nothing but output.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import orjson
from pydantic import TypeAdapter
from starlette.websockets import WebSocket, WebSocketDisconnect

from ucloud_ray.control.errors import BadRequest, NotFound, Refused
from ucloud_ray.control.service import LogFollower
from ucloud_ray.domain.ids import JobId, JobRef, Millis
from ucloud_ray.provider import body
from ucloud_ray.provider.auth import TokenVerifier
from ucloud_ray.provider.channels import Charts
from ucloud_ray.provider.errors import Forbidden, InvalidBody, Unauthenticated, log_bug, refused
from ucloud_ray.provider.room import StreamRoom
from ucloud_ray.provider.streams import Stream, Wanted, Writer
from ucloud_ray.wire.follow import PING, FollowCancel, FollowInit, FollowRequest, RequestFrame, begins

PING_SECONDS = 30.0
FIRST_FRAME_SECONDS = 30.0
"""How long a caller that has shown no token may keep a socket open."""

_FRAME = TypeAdapter(RequestFrame)
_REQUEST: TypeAdapter[FollowInit | FollowCancel] = TypeAdapter(FollowRequest)


class FollowSocket:
    """The route. One instance serves all sockets."""

    def __init__(
        self,
        follower: LogFollower,
        provider_id: str,
        verifier: TokenVerifier,
        room: StreamRoom,
        ping_seconds: float = PING_SECONDS,
        channels: bool = False,
    ) -> None:
        """`channels`: whether there are any (option `followChannels`)."""
        self._channels = channels
        self._follower = follower
        self._provider_id = provider_id
        self._verifier = verifier
        self._room = room
        self._ping_seconds = ping_seconds

    async def serve(self, websocket: WebSocket) -> None:
        """Refuse in the HTTP handshake, or serve until either side closes."""
        authorization = websocket.headers.get("authorization")
        try:
            if authorization is not None:
                self._verifier.verify(authorization)
        except Refused as error:
            await websocket.send_denial_response(refused(error))
            return
        await websocket.accept()
        trusted = authorization is not None
        session = _Session(
            websocket, self._follower, self._provider_id, self._verifier, self._room, trusted, self._channels
        )
        try:
            await session.run(self._ping_seconds)
        except WebSocketDisconnect:
            return


class _Session:
    """One open socket and its streams."""

    def __init__(
        self,
        websocket: WebSocket,
        follower: LogFollower,
        provider_id: str,
        verifier: TokenVerifier,
        room: StreamRoom,
        trusted: bool,
        channels: bool,
    ) -> None:
        self._channels = channels
        self._websocket = websocket
        self._writer = Writer(websocket)
        self._follower = follower
        self._provider_id = provider_id
        self._call = f"jobs.provider.{provider_id}.follow"
        self._verifier = verifier
        self._room = room
        self._trusted = trusted
        """Whether the handshake showed a valid token; otherwise every frame must (K)."""
        self._known = trusted
        """Whether the caller has shown a valid token at all."""
        self._streams: dict[str, tuple[Stream, asyncio.Task[None]]] = {}

    async def run(self, ping_seconds: float) -> None:
        """Until the caller leaves or the last stream ended by itself. Leaves no task behind (LOG-12)."""
        pinger = asyncio.create_task(self._ping(ping_seconds), name="follow keep-alive")
        try:
            await self._read_frames()
        finally:
            tasks = [pinger, *(task for _, task in self._streams.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ping(self, every: float) -> None:
        """In G this is what makes the Core notice that its user has gone (7.1)."""
        while True:
            await self._writer.text(PING)
            await asyncio.sleep(every)

    async def _read_frames(self) -> None:
        try:
            async with asyncio.timeout(None if self._trusted else FIRST_FRAME_SECONDS) as patience:
                while True:
                    await self._handle(await self._websocket.receive())
                    if self._known:
                        patience.reschedule(None)
        except TimeoutError:
            await self._writer.close()

    # ------------------------------------------------------------------------------------------------ frames

    async def _handle(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        frame = _parse(message.get("text"))
        if frame is None:
            return  # as the servers of K do
        try:
            self._authenticate(frame)
            await self._dispatch(frame)
        except (Unauthenticated, Forbidden) as error:
            await self._writer.failure(frame.stream_id, error)
            await self._writer.close()
        except Refused as error:
            await self._writer.failure(frame.stream_id, error)

    def _authenticate(self, frame: RequestFrame) -> None:
        if not self._trusted:
            self._verifier.verify(f"Bearer {frame.bearer or ''}")
        self._known = True

    async def _dispatch(self, frame: RequestFrame) -> None:
        if frame.call != self._call:
            raise NotFound("There is no such call on this socket")
        request = body.validate(_REQUEST, frame.payload)
        if isinstance(request, FollowInit):
            self._start(frame.stream_id, request)
        else:
            await self._cancel(frame.stream_id, request.stream_id)

    def _start(self, client_stream: str, request: FollowInit) -> None:
        job = request.job
        provider = job.specification.product.get("provider")
        if provider is not None and provider != self._provider_id:
            raise BadRequest("This job belongs to another provider")
        created_at = None if job.created_at is None else Millis(job.created_at)
        ref = JobRef(JobId(job.id), created_at)
        wanted = self._wanted(request)
        self._room.take()
        stream = Stream(self._writer, client_stream, self._follower, ref, wanted)
        task = asyncio.create_task(self._copy(stream), name=f"follow job {job.id}")
        task.add_done_callback(lambda _: self._room.give_back())
        self._streams[stream.id] = (stream, task)

    def _wanted(self, request: FollowInit) -> Wanted:
        asked = _is_g(self._websocket) if request.channels is None else request.channels
        charts = Charts(max(1, request.job.specification.replicas)) if asked and self._channels else None
        return Wanted(None if request.resume is None else begins(request.resume), charts)

    async def _cancel(self, client_stream: str, session_id: str) -> None:
        """Two ends are told: that of the cancel request, then that of the stream (7.1)."""
        if session_id not in self._streams:
            raise NotFound("There is no such stream on this socket")
        stream, task = self._streams.pop(session_id)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stream.end(client_stream)
        await stream.end(stream.client_stream)

    # ------------------------------------------------------------------------------------------------ streams

    async def _copy(self, stream: Stream) -> None:
        try:
            await stream.copy()
            await stream.end(stream.client_stream)
        except Refused as error:
            await self._writer.failure(stream.client_stream, error)
        except WebSocketDisconnect:
            return  # the reader sees it too
        except Exception as error:
            await self._writer.failure(stream.client_stream, _Broken(log_bug(error, "follow")))
        self._streams.pop(stream.id, None)
        if not self._streams:
            await self._writer.close()


class _Broken(Refused):
    status = 500

    def __init__(self, reference: str) -> None:
        super().__init__(f"Something went wrong at the provider. Reference: {reference}", "INTERNAL_ERROR")


def _is_g(websocket: WebSocket) -> bool:
    return "usernameHint" in websocket.query_params and "ucloud-username" not in websocket.headers


def _parse(text: str | None) -> RequestFrame | None:
    """None for what is no frame."""
    try:
        return body.validate(_FRAME, orjson.loads(text or ""))
    except (InvalidBody, orjson.JSONDecodeError):
        return None
