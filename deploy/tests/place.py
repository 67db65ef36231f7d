"""Where things are, and what several tests need: the tools, the project's files, free ports, waiting."""

import os
import re
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
#: After this a test has failed, however slow the machine is, in seconds.
TIMEOUT = 120


def tool(name: str) -> str:
    """The path of a tool that scripts/deploy-check has put into place."""
    return os.environ.get(f"DEPLOY_{name.upper()}", name)


def binary() -> Path:
    """The built ringpost."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("RINGPOST", target / "release/ringpost"))


def run(*command, **options) -> str:
    """Runs a command to its end; its output is the reason where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what: str, look, alive=()):
    """Looks until there is something to see; `alive` are processes without which there never will be."""
    deadline = time.monotonic() + TIMEOUT
    last = None
    while time.monotonic() < deadline:
        try:
            last = look()
            if last:
                return last
        except OSError as error:
            last = error
        for process in alive:
            assert process.poll() is None, f"waiting for {what}: {process.args[0]} ended with {process.returncode}"
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}; the last look gave {last!r}")


def version() -> str:
    """Of the project."""
    return re.search(r'^version = "([^"]+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]


#: Of what the configuration says, in seconds.
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def setting(*files: Path, key: str) -> str:
    """A setting as the last of the files has it. They are TOML of sections and plain values."""
    import tomllib

    value = None
    for file in (ROOT / "config/default.toml", *files):
        node = tomllib.loads(file.read_text())
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        value = node if node is not None else value
    assert value is not None, f"{key} has no value"
    return value


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", text).groups()
    return int(number) * SECONDS[unit]
