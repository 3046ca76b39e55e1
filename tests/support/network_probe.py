"""What a program in some network can and cannot reach. Run as a program inside that network; standard library only.

serve NAME PORT...          accept connections and datagrams on all addresses; answers begin with NAME
reach HOST:PORT...          which of them answer a connection, as JSON of target to what it said
datagram HOST PORT BYTES    whether the other side got a datagram of that size in one packet
talk HOST PORT              one connection: for each line from stdin, whether it came back
frame DEVICE HEX            put this frame on the wire as it is
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

SECONDS = 1.0
BIG = 4_000_000
_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3


def serve(name: str, *ports: str) -> None:
    with selectors.DefaultSelector() as selector:
        for port in map(int, ports):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                listener = socket.socket(socket.AF_INET, kind)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("0.0.0.0", port))
                if kind == socket.SOCK_STREAM:
                    listener.listen(64)
                selector.register(listener, selectors.EVENT_READ)
        _say("ready")
        while True:
            for key, _ in selector.select():
                _accept(key.fileobj, name)


def _accept(listener: object, name: str) -> None:
    assert isinstance(listener, socket.socket)
    if listener.type == socket.SOCK_DGRAM:
        content, sender = listener.recvfrom(1 << 16)
        _say(f"{len(content)} bytes from {sender[0]}")
        listener.sendto(str(len(content)).encode(), sender)
        return
    connection, sender = listener.accept()
    Thread(target=_converse, args=(connection, f"{name} {sender[0]}\n"), daemon=True).start()


def _converse(connection: socket.socket, greeting: str) -> None:
    """Greets, then sends every line back; a line `big` brings many bytes instead."""
    with connection, connection.makefile("rwb", buffering=0) as stream:
        stream.write(greeting.encode())
        while line := stream.readline():
            connection.sendall(bytes(BIG) if line == b"big\n" else line)


def reach(*targets: str) -> None:
    with ThreadPoolExecutor(max(len(targets), 1)) as threads:
        answers = threads.map(_greeting, targets)
    _say(json.dumps({target: said for target, said in zip(targets, answers, strict=True) if said is not None}))


def _greeting(target: str) -> str | None:
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), SECONDS) as connection:
            connection.settimeout(SECONDS)
            return connection.recv(100).decode().strip()
    except TimeoutError:
        return None
    except OSError as error:
        return None if not isinstance(error, ConnectionRefusedError) else "refused"


def datagram(host: str, port: str, size: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
        sender.settimeout(SECONDS)
        try:
            sender.sendto(bytes(int(size)), (host, int(port)))
            _say("arrived" if sender.recv(100) == size.encode() else "cut")
        except OSError as error:
            _say("lost" if isinstance(error, TimeoutError) else type(error).__name__)


def talk(host: str, port: str) -> None:
    with socket.create_connection((host, int(port)), SECONDS) as connection:
        connection.settimeout(SECONDS)
        _say(connection.recv(100).decode().strip())
        for line in sys.stdin:
            connection.sendall(line.encode())
            _say(str(_received(connection, BIG if line == "big\n" else len(line))))


def _received(connection: socket.socket, wanted: int) -> int:
    """How many bytes came, at most `wanted`; fewer when nothing came for a while."""
    got = 0
    try:
        while got < wanted and (piece := connection.recv(1 << 16)):
            got += len(piece)
    except TimeoutError:
        pass
    return got


def frame(device: str, content: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((device, 0))
        wire.send(bytes.fromhex(content))


def throw(host: str, port: str, content: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(bytes.fromhex(content), (host, int(port)))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    commands = {one.__name__: one for one in (serve, reach, datagram, talk, frame, throw)}
    commands[sys.argv[1]](*sys.argv[2:])
