"""What runs in a job, for tests: a web application with everything that is hard to hand on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from tests.support.wait import async_wait_until


async def echo(request: Request) -> Response:
    """What arrived of the request's head."""
    headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
    target = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
    answer = JSONResponse({"method": request.method, "target": target, "headers": headers})
    answer.headers.append("Set-Cookie", "mine=1")
    answer.headers.append("Set-Cookie", "ucloud-compute-session-41-0-web=stolen")
    return answer


async def digest(request: Request) -> Response:
    found = hashlib.sha256()
    size = 0
    async for piece in request.stream():
        found.update(piece)
        size += len(piece)
    return PlainTextResponse(f"{size} {found.hexdigest()}")


async def events(request: Request) -> Response:
    """One at once, the next when `/go` was asked for."""
    state = request.app.state

    async def told() -> AsyncIterator[str]:
        yield "data: first\n\n"
        await state.go.wait()
        yield "data: second\n\n"

    return StreamingResponse(told(), media_type="text/event-stream")


async def go(request: Request) -> Response:
    request.app.state.go.set()
    return PlainTextResponse("gone")


async def forever(request: Request) -> Response:
    """Notices when nobody listens any more."""
    request.app.state.listening.set()
    while (await request.receive())["type"] != "http.disconnect":
        pass
    request.app.state.left.set()
    return PlainTextResponse("nobody hears this")


async def large(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(int(request.query_params["megabytes"])):
            yield b"x" * 1024 * 1024

    return StreamingResponse(pieces())


async def talk(websocket: WebSocket) -> None:
    offered = websocket.scope["subprotocols"]
    await websocket.accept(offered[-1] if offered else None)
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if message.get("text") == "close":
            await websocket.close(4001, "as you wish")
            return
        if message.get("text") is not None:
            await websocket.send_text(message["text"][::-1])
        else:
            await websocket.send_bytes(message["bytes"][::-1])


async def refuse(websocket: WebSocket) -> None:
    await websocket.close()


def application() -> Starlette:
    app = Starlette(
        routes=[
            Route("/digest", digest, methods=["POST", "PUT"]),
            Route("/events", events),
            Route("/go", go),
            Route("/forever", forever),
            Route("/large", large),
            WebSocketRoute("/talk", talk),
            WebSocketRoute("/refuse", refuse),
            Route("/{rest:path}", echo, methods=["GET", "POST", "DELETE"]),
        ]
    )
    app.state.go, app.state.listening, app.state.left = asyncio.Event(), asyncio.Event(), asyncio.Event()
    return app


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[int]:
    """On a free port of this machine, as the provider is served."""
    config = uvicorn.Config(
        app, "127.0.0.1", 0, log_config=None, ws="websockets-sansio", ws_per_message_deflate=False,
        timeout_graceful_shutdown=1, lifespan="off", proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await async_wait_until(started, "the server to listen")
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving
