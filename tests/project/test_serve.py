"""`make serve` as a process: it answers, says what is wrong, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from html import unescape

import pytest
import urllib3

from tests.processes import ROOT


def start(port: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "project.serve"],
        cwd=ROOT,
        env={**os.environ, "PORT": port, "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def said_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            break
    return said


def test_serve__shows_the_incident_and_stops_clean() -> None:
    port = free_port()
    process = start(port)
    try:
        said = said_until(process, "Quit the server")
        page = urllib3.request("GET", f"http://127.0.0.1:{port}/").data.decode()
        images = [unescape(url) for url in re.findall(r'<img [^>]*src="([^"]+)"', page)]
        assert [urllib3.request("GET", url).data[:2] for url in images] == [b"\xff\xd8"] * 6
        assert page.count("is gone.</title>") == 6
        for path in ("project/gallery.css", "imagesync/placeholder-missing.svg"):
            assert urllib3.request("GET", f"http://127.0.0.1:{port}/static/{path}").status == 200
        assert re.search(r"user admin, password \S{8,}", said)
    finally:
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
        shutil.rmtree(ROOT / "var" / "serve" / port, ignore_errors=True)
    assert process.returncode == 0
    assert "Traceback" not in rest
    with socket.socket() as one:
        assert one.connect_ex(("127.0.0.1", int(port))), "its server has ended with it"


@pytest.mark.parametrize("port", ["banana", "0", "70000"])
def test_serve__a_wrong_port_is_one_sentence(port: str) -> None:
    said, _ = start(port).communicate(timeout=30)

    assert said == f"PORT is '{port}', which is no port: give a number from 1 to 65535.\n"


def test_serve__a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        process = start(str(one.getsockname()[1]))
        said, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "is in use. Take another one: PORT=" in said
