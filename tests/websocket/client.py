"""A client by Python's `websockets`: client.mjs has the commands and the output."""

import asyncio
import os
import sys

import websockets

# Longer texts are told by their length.
SHOWN_MAX = 1_000


def say(line):
    print(line, flush=True)


async def receive(socket):
    try:
        async for message in socket:
            if isinstance(message, bytes):
                say(f"hex {message.hex()}")
            elif len(message) > SHOWN_MAX:
                say(f"size {len(message)}")
            else:
                say(f"text {message}")
    except websockets.exceptions.ConnectionClosedError:
        pass
    say(f"closed {socket.close_code} {socket.close_reason}".strip())
    # A thread waits for the next line.
    os._exit(0)


async def run(socket, line):
    command, *words = line.split(" ")
    rest = " ".join(words)
    if command == "text":
        await socket.send(rest)
    elif command == "hex":
        await socket.send(bytes.fromhex(rest))
    elif command == "size":
        await socket.send("x" * int(rest))
    elif command == "fragments":
        await socket.send(words)
    elif command == "ping":
        await (await socket.ping(b"here"))
        say("pong")
    elif command == "close":
        await socket.close(int(words[0]), " ".join(words[1:]))
    else:
        raise ValueError(f"no such command: {command}")


async def main(url, *protocols):
    try:
        settings = {"subprotocols": list(protocols) or None, "max_size": 1 << 24, "ping_interval": None}
        socket = await websockets.connect(url, **settings)
    except websockets.exceptions.InvalidHandshake as error:
        # Its place has changed with versions of the library.
        status = error.status_code if hasattr(error, "status_code") else error.response.status_code
        say(f"refused {status}")
        return
    # Since version 14 of the library they are of its protocol object.
    agreed = socket.extensions if hasattr(socket, "extensions") else socket.protocol.extensions
    extensions = ",".join(extension.name for extension in agreed)
    say(f"open {socket.subprotocol or '-'} {extensions or '-'}")
    receiver = asyncio.ensure_future(receive(socket))
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            await run(socket, line.rstrip("\n"))
        except websockets.exceptions.ConnectionClosed:
            break
    await receiver


asyncio.run(main(*sys.argv[1:]))
