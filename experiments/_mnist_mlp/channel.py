"""Connections between the processes: which are present, what they send, which end.

JAX's own start and its collective operations wait for all processes. If one is missing,
duplicated, different or dead, they end in a C++ stack trace or wait forever. So every
process also has a connection to a hub, a thread of process 0. The hub admits each
number once, passes on the values of all processes, and tells the others when a
connection breaks. The system closes the connections of a process that dies, so the
others learn of it at once; if a machine or network fails, within `SILENT_SECONDS`.

Messages are lines of JSON, {kind: content}.
"""

import contextlib
import json
import os
import platform
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

FIRST_ENDED = "process 0 has ended"
SILENT_SECONDS = 20  # without an answer to a probe
_LONGEST = 2**20  # bytes of a message

Address = tuple[str, int]


class Refused(ValueError):
    """The processes do not belong together, or one is missing."""


def listen(port: int) -> socket.socket:
    """A socket that accepts connections on this port of every address."""
    if socket.has_dualstack_ipv6():
        options: Any = {"family": socket.AF_INET6, "dualstack_ipv6": True}
        return socket.create_server(("", port), **options)
    return socket.create_server(("", port))


class Hub:
    """The side of process 0."""

    def __init__(self, listener: socket.socket, count: int, seconds: float):
        self.listener, self.count, self.seconds = listener, count, seconds
        self.members: dict[int, socket.socket] = {}
        self.names: dict[int, str] = {}
        self.said: dict[int, list[Any]] = {}
        self.lock = threading.RLock()
        self.complete, self.fault = threading.Event(), ""
        _start(self._admit)

    def wait_for_the_others(self, seconds: float) -> None:
        """Return when all other processes have ended, or after so many seconds."""
        end = time.monotonic() + seconds
        while set(self.members) - {0} and time.monotonic() < end:
            time.sleep(0.02)

    def _admit(self) -> None:
        """Accept connections until all processes are connected."""
        self.listener.settimeout(0.05)
        end = time.monotonic() + self.seconds
        while not (self.complete.is_set() or time.monotonic() > end):
            with contextlib.suppress(TimeoutError):
                _start(self._serve, self.listener.accept()[0])
        self.listener.close()  # before the welcome: now JAX may listen here
        if self.complete.is_set():
            self._tell_all({"welcome": None})
            return
        missing = sorted(set(range(self.count)) - set(self.members))
        self._refuse(f"{_numbers(missing)} did not arrive within {self.seconds:g} s")

    def _serve(self, connection: socket.socket) -> None:
        """One connection from its first message to its end."""
        with connection:
            _probe_when_silent(connection)
            messages = _messages(connection)
            hello = next(messages, {}).get("hello")
            if hello is not None and self._welcome(connection, hello):
                self._follow(hello["number"], messages)

    def _follow(self, number: int, messages: Iterator[dict[str, Any]]) -> None:
        """Handle the messages of a process until its connection ends."""
        last: dict[str, Any] = {}
        for last in messages:
            if "value" in last:
                self._collect(number, last["value"])
            elif "failed" in last:
                self._tell_all({"lost": f"{self.names[number]} {last['failed']}"})
        with self.lock:
            del self.members[number]
            if not {"bye", "failed"} & set(last):
                self._tell_all({"lost": f"{self.names[number]} has ended"})

    def _welcome(self, connection: socket.socket, hello: dict[str, Any]) -> bool:
        number, count = hello["number"], hello["count"]
        name = f"process {number} (pid {hello['pid']} on {hello['host']})"
        fault = ""
        with self.lock:
            if count != self.count:
                fault = f"process 0 expects {self.count} processes, {name} {count}"
            elif number in self.names:
                fault = f"{self.names[number]} and {name} have the same number"
            if fault := self.fault or fault:
                # The newcomer first: process 0 may end as soon as it is told.
                _send(connection, {"refused": fault})
                if not self.complete.is_set():
                    self._refuse(fault)
                return False
            self.members[number], self.names[number] = connection, name
            self.said[number] = []
            if len(self.members) == self.count:
                self.complete.set()
        return True

    def _refuse(self, fault: str) -> None:
        """Tell all processes, also those that connect later, why they cannot train."""
        with self.lock:
            self.fault = self.fault or fault
            self._tell_all({"refused": self.fault})

    def _collect(self, number: int, value: Any) -> None:
        """Pass on the values of all processes, as soon as the last one has sent it."""
        with self.lock:
            self.said[number].append(value)
            if all(self.said.values()):
                values = [self.said[number].pop(0) for number in range(self.count)]
                self._tell_all({"values": values})

    def _tell_all(self, message: dict[str, Any]) -> None:
        with self.lock:
            for connection in self.members.values():
                _send(connection, message)


class Member:
    """The side of every process, the first included."""

    def __init__(
        self,
        address: Address,
        number: int,
        count: int,
        seconds: float,
        lost: Callable[[str, bool], None],
    ):
        """Join; `lost(why, sudden)` is called in a thread when a process has ended."""
        self.lost, self.joined, self.leaving = lost, False, False
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.connection = _connected(address, number, count, seconds)
        _start(self._listen)
        who = {"pid": os.getpid(), "host": platform.node()}
        self._say({"hello": {"number": number, "count": count, **who}})
        try:
            answer = self.inbox.get(timeout=seconds + 2)  # the hub refuses before
        except queue.Empty:
            answer = FIRST_ENDED
        if answer == FIRST_ENDED:
            where = f"{address[0]}:{address[1]}"
            answer = f"{where} answers, but does not wait for processes (any more)"
        if answer is not None:
            raise Refused(answer)
        self.joined = True

    def gather(self, value: Any) -> list[Any]:
        """The value that each process passed to this call, in the order of numbers."""
        self._say({"value": value})
        return self.inbox.get()

    def leave(self) -> None:
        """Disconnect, once all other processes are ready to."""
        self.gather(None)
        self.leaving = True
        self._say({"bye": None})

    def fail(self, why: str) -> None:
        """Tell the others why this process ends."""
        self.leaving = True
        self._say({"failed": why})

    def _say(self, message: dict[str, Any]) -> None:
        _send(self.connection, message)

    def _listen(self) -> None:
        for message in _messages(self.connection):
            if "lost" in message:
                self._end(message["lost"], sudden=False)
            else:  # refused, welcome or values
                self.inbox.put(*message.values())
        self.connection.close()
        self._end(FIRST_ENDED, sudden=True)

    def _end(self, why: str, *, sudden: bool) -> None:
        if not self.joined:
            self.inbox.put(why)
        elif not self.leaving:
            self.lost(why, sudden)


def _connected(
    address: Address, number: int, count: int, seconds: float
) -> socket.socket:
    end = time.monotonic() + seconds
    while True:
        try:
            connection = socket.create_connection(address, timeout=2)
        except OSError as fault:
            if time.monotonic() > end:
                where = f"{address[0]}:{address[1]}"
                raise Refused(
                    f"process {number} found no process 0 at {where} within "
                    f"{seconds:g} s ({fault})"
                ) from fault
            time.sleep(0.1)
        else:
            connection.settimeout(None)
            _probe_when_silent(connection)
            return connection


def _start(target: Callable[..., None], *args: Any) -> None:
    threading.Thread(target=target, args=args, daemon=True).start()


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the reader of the connection sees its end
        connection.sendall(json.dumps(message).encode() + b"\n")


def _messages(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """The messages of a connection until it ends, or sends something else."""
    with contextlib.suppress(OSError, ValueError), connection.makefile("rb") as file:
        while line := file.readline(_LONGEST):
            message = json.loads(line)
            if not isinstance(message, dict):
                return
            yield message


def _probe_when_silent(connection: socket.socket) -> None:
    """Let the system end a connection whose other side has vanished."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    parts = SILENT_SECONDS // 4
    for name, value in (
        ("TCP_KEEPIDLE", parts),
        ("TCP_KEEPINTVL", parts),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", SILENT_SECONDS * 1000),  # for data in flight
    ):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _numbers(missing: list[int]) -> str:
    names = ", ".join(map(str, missing))
    return f"process {names}" if len(missing) == 1 else f"processes {names}"
