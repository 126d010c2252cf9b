"""What is refused before Ray is asked for anything, and what a machine says that cannot take part."""

import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

import sweep_work
from goldcut.errors import ClusterError, MissingExtra
from goldcut.sweeps import ray_tasks
from goldcut.sweeps.ray_tasks import RayTasks

SOMEBODY_ELSE = """
import http.server
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def refusal(address, folder):
    with pytest.raises(ClusterError) as caught:
        RayTasks(sweep_work.count_up, address, folder)
    assert not list(folder.iterdir())
    return str(caught.value)


@pytest.mark.parametrize("address", ["nonsense", "ray://127.0.0.1:10001", "127.0.0.1", ":6379"])
def test_what_is_no_address_is_refused(tmp_path, address):
    pytest.importorskip("ray")
    assert refusal(address, tmp_path).startswith(f"{address!r} is no address of a Ray cluster. Give HOST:PORT of")


def test_an_address_where_nobody_or_somebody_else_answers_is_refused(tmp_path):
    pytest.importorskip("ray")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        said = refusal(address, tmp_path)
        assert said.startswith(f"no Ray cluster answers at {address}: [Errno ")
        assert "Start one with `ray start --head`" in said
    command = [sys.executable, "-c", SOMEBODY_ELSE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as other:
        try:
            address = f"127.0.0.1:{int(other.stdout.readline())}"
            assert refusal(address, tmp_path).startswith(
                f"what listens at {address} is no head of a Ray cluster. Start"
            )
        finally:
            other.kill()


def test_without_ray_its_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"ray is not installed. pip install 'goldcut\[cluster\]' brings it."):
        RayTasks(sweep_work.count_up, "auto", tmp_path)


def test_a_machine_that_does_not_share_the_folders_or_has_another_goldcut_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = ray_tasks.make_place(tmp_path / "out")
    os.chdir("/")
    assert ray_tasks.look(place) is None
    assert os.getcwd() == str(tmp_path), "relative paths begin where the command was given"
    here = socket.gethostname()
    for wrong in (
        replace(place, word="another"),
        replace(place, token=tmp_path / "nowhere" / "token"),
        replace(place, home=tmp_path / "nowhere"),
    ):
        assert ray_tasks.look(wrong) == f"{here} does not share {wrong.token.parent} and {wrong.home} with the command"
    assert "and the command is 0.0" in ray_tasks.look(replace(place, version="0.0"))
    outcome = ray_tasks.carry(sweep_work.count_up, "a", None, tmp_path / "out" / "a", replace(place, version="0.0"))
    assert outcome.error.endswith("and the command is 0.0")


def test_auto_means_the_address_of_the_environment(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert refusal("auto", tmp_path).startswith("no Ray cluster answers at 127.0.0.1:1: ")
