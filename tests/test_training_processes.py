"""How processes connect, agree and end together; threads stand in for processes."""

import contextlib
import io
import json
import queue
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from experiments._mnist_mlp import processes, quiet
from experiments._mnist_mlp.channel import Hub, Member, Refused, listen
from experiments._mnist_mlp.config import Config
from tests.test_training_scale import free_port

SOON = 10.0


@pytest.fixture
def meeting():
    """Connect processes with these numbers: their members, or why they could not."""
    members, port = [], free_port()

    def meet(*numbers, count=None, seconds=SOON):
        expected = count or [len(set(numbers))] * len(numbers)
        told: queue.SimpleQueue = queue.SimpleQueue()

        def one(number, count):
            hub = None
            if number == 0:
                try:
                    hub = Hub(listen(port), count, seconds)
                except OSError:
                    pass
            lost = lambda why, sudden: told.put((number, why, sudden))  # noqa: E731
            try:
                members.append(
                    member := Member(("127.0.0.1", port), number, count, seconds, lost)
                )
            except Refused as fault:
                return str(fault)
            return member if hub is None else (member, hub)

        with ThreadPoolExecutor(len(numbers)) as pool:
            return list(pool.map(one, numbers, expected)), told

    yield meet
    for member in members:
        close(member)


def close(member):
    """What the system does when a process dies."""
    with contextlib.suppress(OSError):  # it is closed
        member.connection.shutdown(socket.SHUT_RDWR)


def test_gather_gives_all_values_in_the_order_of_the_processes(meeting):
    ((first, _), second, third), _ = meeting(0, 1, 2)
    with ThreadPoolExecutor(3) as pool:
        for turn in range(20):
            values = [f"{number} in turn {turn}" for number in range(3)]
            members = (first, second, third)
            gathered = list(pool.map(lambda m, v: m.gather(v), members, values))
            assert gathered == [values] * 3


def test_the_port_is_free_as_soon_as_all_have_met(meeting):
    ((first, _), _), _ = meeting(0, 1)
    with socket.create_server(first.connection.getpeername()[:2]):
        pass  # JAX's service listens there next


@pytest.mark.parametrize("numbers", [(0, 0), (0, 1, 1), (0, 0, 1)])
def test_a_number_used_twice_is_refused_and_both_are_named(meeting, numbers):
    start = time.monotonic()
    count = [len(numbers)] * len(numbers)
    answers, _ = meeting(*numbers, count=count)
    assert time.monotonic() - start < 5
    double = max(numbers, key=numbers.count)
    for answer in answers:
        assert isinstance(answer, str)
    named = [a for a in answers if isinstance(a, str) and "have the same number" in a]
    assert len(named) >= 2
    assert named[0].count(f"process {double} (pid ") == 2


def test_a_surplus_process_is_refused_and_the_others_go_on(meeting):
    ((first, hub), second), told = meeting(0, 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = socket.create_connection(server.getsockname()[:2])
        there, _ = server.accept()
    with here:
        hello = {"number": 1, "count": 2, "pid": 1, "host": "elsewhere"}
        threading.Thread(target=hub._serve, args=(there,), daemon=True).start()
        here.sendall(json.dumps({"hello": hello}).encode() + b"\n")
        assert b"have the same number" in here.recv(1000)
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda member: member.gather("x"), (first, second)))
    assert said == [["x", "x"]] * 2
    first.leaving = second.leaving = True
    assert told.empty()


def test_different_counts_are_refused_and_both_are_named(meeting):
    answers, _ = meeting(0, 1, count=[2, 3])
    for answer in answers:
        assert answer.startswith("process 0 expects 2 processes, process 1 (pid")
        assert answer.endswith(" 3")


def test_a_missing_process_is_named(meeting):
    ((answer,), _) = meeting(0, count=[3], seconds=0.5)
    assert answer == "processes 1, 2 did not arrive within 0.5 s"
    start = time.monotonic()
    ((answer, other), _) = meeting(1, 1, count=[2, 2], seconds=0.5)
    assert "process 1 found no process 0 at 127.0.0.1:" in answer
    assert "within 0.5 s" in answer and "within 0.5 s" in other
    assert time.monotonic() - start < 5


def test_another_program_at_the_address_is_not_process_0(meeting):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()[:2]

        def talk():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=talk, daemon=True).start()
        with pytest.raises(Refused, match="answers, but does not wait for processes"):
            Member(address, 1, 2, 1.0, lambda why, sudden: None)


def test_a_death_in_the_middle_of_a_gather_is_reported(meeting):
    ((first, _), second), told = meeting(0, 1)
    first._say({"value": 1})
    second.leaving = True
    close(second)
    number, why, sudden = told.get(timeout=SOON)
    assert (number, sudden) == (0, False)
    assert why.startswith("process 1 (pid ") and why.endswith(" has ended")


def test_connections_of_other_programs_are_ignored():
    port = free_port()
    hub = Hub(listen(port), 1, SOON)
    for text in (b"", b"\n", b"[]\n", b"GET / HTTP/1.1\r\n\r\n", b'{"value": 1}\n'):
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(text)
    member = Member(("127.0.0.1", port), 0, 1, SOON, lambda why, sudden: None)
    assert member.gather(3) == [3]
    assert hub.complete.is_set()
    member.leaving = True
    close(member)


def test_a_dead_process_is_reported_to_all_others(meeting):
    ((first, _), second, third), told = meeting(0, 1, 2)
    second.leaving = True
    close(second)
    heard = sorted(told.get(timeout=SOON)[:2] for _ in range(2))
    assert [number for number, _ in heard] == [0, 2]
    assert all(why.endswith("has ended") and "process 1 (" in why for _, why in heard)
    third.fail("has stopped (disk full)")
    number, why, _ = told.get(timeout=SOON)
    assert number == 0 and why.endswith("has stopped (disk full)")
    first.leaving = third.leaving = True


def test_a_process_that_leaves_is_not_reported(meeting):
    ((first, hub), second), told = meeting(0, 1)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda member: member.leave(), (first, second)))
    close(second)
    hub.wait_for_the_others(SOON)
    assert set(hub.members) <= {0}
    close(first)
    with pytest.raises(queue.Empty):
        told.get(timeout=0.2)


def test_the_end_of_process_0_is_sudden(meeting):
    ((_, hub), _), told = meeting(0, 1)
    second_connection = hub.members[1]
    second_connection.shutdown(socket.SHUT_RDWR)
    told_by = {told.get(timeout=SOON) for _ in range(2)}
    assert (1, "process 0 has ended", True) in told_by


# What is compared


def gathered(monkeypatch, *everyone):
    monkeypatch.setattr(processes, "gather", lambda mine: list(everyone))


def shared(**options):
    return {k: str(v) for k, v in processes._shared(Config(**options)).items()}


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ({"epochs": 3}, {}, "epochs 3 in process 0 and 20 in process 1"),
        ({}, {"side_runs": False}, "side_runs True in process 0 and False in pr"),
        ({"checkpoint_dir": "c"}, {}, "checkpoint_dir a folder .* and none in process"),
        ({}, {"resume": True}, "resume False in process 0 and True in process 1"),
        ({"save_every": 7}, {}, "save_every 7 in process 0 and None in process 1"),
        ({"lr": 0.1, "seed": 1}, {}, "lr 0.1 in .* and None .*; seed 1 in .* and 0 in"),
        ({"optimizer": "adam"}, {}, "optimizer adam in process 0 and sgd in"),
        ({}, {"dataset": "digits"}, "dataset auto in process 0 and digits in"),
    ],
)
def test_options_that_decide_the_operations_are_compared(
    monkeypatch, first, second, named
):
    gathered(monkeypatch, shared(**first), shared(**second))
    with pytest.raises(ValueError, match=f"the same options, got {named}"):
        processes.check_same("the same options", {})


def test_options_of_a_single_process_are_not_compared(monkeypatch):
    own = {"process_id": 1, "data_dir": "here", "output_dir": "there", "keep": 7}
    gathered(monkeypatch, shared(), shared(**own, coordinator="h:1"))
    processes.check_same("the same options", {})
    gathered(
        monkeypatch, shared(checkpoint_dir="c"), shared(checkpoint_dir="/shared/c")
    )
    processes.check_same("the same options", {})
    fields = set(Config.__dataclass_fields__)
    assert set(processes.OWN) < fields and "jax" in shared()


def test_a_single_process_agrees_with_itself():
    assert processes.gather("anything") == ["anything"]
    json.dumps(shared())
    processes.check_same("the same options", shared())


# The trace of C++


NOISE = """W1125 23:08:54.605250    6154 preemption_sync_manager.cc:147] Failed
Additional GRPC error information from remote target coordination_service while calling
:UNKNOWN:Error received from peer  {grpc_message:"Socket closed", grpc_status:14}
E1125 23:07:02.679763    4427 coordination_service_agent.cc:289] Polled an error
"""
TRACE = """F1125 23:07:02.679805 4427 client.h:80] Terminating process because the JAX \
distributed service detected fatal errors. This most likely indicates that another task
*** Check failure stack trace: ***
    @     0x7f8761040634  absl::lts_20260107::log_internal::LogMessage::SendToLog()
"""
LINE = "error: process 0 has ended\n"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (f"mine\n{NOISE}{TRACE}", f"mine\n{LINE}"),
        (f"{LINE}{NOISE}{TRACE}", LINE),
        (f"{NOISE}{LINE}{TRACE}", LINE),
        (f"{NOISE}mine\n", "mine\n"),
        ("F1125 12:00:00 1 xla.cc:1] Check failed\n", None),
        ("Traceback (most recent call last):\nno newline at the end", None),
    ],
)
def test_one_line_takes_the_place_of_the_trace(written, shown):
    out = io.BytesIO()
    quiet.pass_on(io.BytesIO(written.encode()), out, LINE.encode())
    assert out.getvalue().decode() == (written if shown is None else shown)
