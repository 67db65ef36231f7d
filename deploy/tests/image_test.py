"""The image, as far as it can be known without a Docker daemon: what it copies is there, what the binary was built from
and needs is in it, and the command runs as that user with nothing to write to but the data folder."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path

from place import DEPLOY, ROOT, TIMEOUT, binary, free_port, run, setting, seconds, tool, until, version

DOCKERFILE = DEPLOY / "docker/Dockerfile"
#: Packages of Debian, by the libraries that they bring. The first line is in every image of Debian.
BASE = {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
LIBRARIES = {"libssl.so.3": "libssl3", "libcrypto.so.3": "libssl3", "libz.so.1": "zlib1g"}


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def copied() -> list[str]:
    """What comes from the project, not from the first stage."""
    copies = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from=")]
    return [source for copy in copies for source in copy[:-1]]


class Image(unittest.TestCase):
    def test_the_linter_of_dockerfiles_has_nothing_to_say(self):
        run(tool("hadolint"), DOCKERFILE)

    def test_what_is_copied_is_there_and_not_ignored(self):
        ignored = (ROOT / ".dockerignore").read_text().split()
        self.assertIn("*", ignored)
        self.assertTrue(copied())
        for source in copied():
            self.assertTrue((ROOT / source).exists(), source)
            self.assertIn(f"!{source.split('/')[0]}", ignored)

    def test_all_that_the_binary_was_built_from_is_copied(self):
        listed = binary().with_suffix(".d")
        self.assertTrue(listed.exists(), f"{listed} is written by cargo beside the binary: make build")
        files = listed.read_text().split(": ", 1)[1].replace("\\ ", "\0").split()
        inside = [Path(file.replace("\0", " ")) for file in files]
        inside = [file.relative_to(ROOT) for file in inside if file.is_relative_to(ROOT)]
        self.assertGreater(len(inside), 100)
        for file in inside:
            held = any(file == Path(one) or Path(one) in file.parents for one in copied())
            self.assertTrue(held, f"{file} is not copied into the image")
        for member in run("cargo", "metadata", "--no-deps", "--offline", "--format-version=1", cwd=ROOT).splitlines():
            for package in json.loads(member)["packages"]:
                file = Path(package["manifest_path"]).relative_to(ROOT)
                held = any(Path(one) in file.parents for one in copied())
                self.assertTrue(held, f"{file} is part of the workspace and not copied")

    def test_every_library_that_the_binary_needs_is_installed(self):
        installed = DOCKERFILE.read_text().split("FROM ${DEBIAN}")[1]
        for line in run("ldd", binary()).splitlines():
            library = Path(line.split()[0]).name
            if library not in BASE:
                self.assertIn(LIBRARIES[library], installed, line)

    def test_versions_are_those_of_the_project(self):
        text = DOCKERFILE.read_text()
        channel = re.search(r'channel = "([^"]+)"', (ROOT / "rust-toolchain.toml").read_text())[1]
        self.assertIn(f"rust:{channel}-", text)
        self.assertIn(f"RUSTUP_TOOLCHAIN={channel}", text)
        self.assertIn(f"ARG VERSION={version()}\n", text)
        self.assertNotRegex(text, r":latest|^FROM [^$]")

    def test_it_is_not_root_and_keeps_its_data_in_a_volume(self):
        after = dict(instructions())
        self.assertEqual(after["USER"], "65532:65532")
        self.assertEqual(after["VOLUME"], "/var/lib/ringpost")
        self.assertEqual((after["ENTRYPOINT"], after["CMD"]), ('["/usr/local/bin/ringpost"]', '["serve"]'))


class Container(unittest.TestCase):
    """The command of the image in a sandbox that gives it what a container with a read-only root gives."""

    def setUp(self):
        self.data = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.data)

    def inside(self, *command, environment=()) -> list[str]:
        words = dict(instructions())
        uid, gid = words["USER"].split(":")
        libraries = [part for name in ("lib", "lib64") if Path(f"/{name}").is_symlink()
                     for part in ("--symlink", f"usr/{name}", f"/{name}")]
        variables = [part for name, value in environment for part in ("--setenv", name, value)]
        return [tool("bwrap"), "--unshare-all", "--share-net", "--die-with-parent", "--cap-drop", "ALL",
                "--uid", uid, "--gid", gid, "--ro-bind", "/usr", "/usr", *libraries,
                "--ro-bind", "/etc/ssl", "/etc/ssl", "--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf",
                "--proc", "/proc", "--dev", "/dev", "--ro-bind", str(binary()), "/opt/ringpost",
                "--bind", self.data, words["VOLUME"], "--chdir", words["WORKDIR"], "--remount-ro", "/",
                "--clearenv", "--setenv", *words["ENV"].split("=", 1), *variables, "--", *command]

    def test_nothing_but_the_volume_can_be_written_and_there_is_no_right(self):
        script = "! touch /x 2>/dev/null && touch /var/lib/ringpost/x && id -u && grep CapEff /proc/self/status"
        said = run(*self.inside("/usr/bin/sh", "-c", script)).split()
        self.assertEqual(said, ["65532", "CapEff:", "0000000000000000"])

    def test_serve_comes_up_and_ends_well(self):
        http, admin = free_port(), free_port()
        environment = [("RINGPOST_HTTP__LISTEN", f"127.0.0.1:{http}"), ("RINGPOST_ADMIN__LISTEN", f"127.0.0.1:{admin}")]
        words = dict(instructions())
        command = ["/opt/ringpost", *json.loads(words["CMD"])]
        log = tempfile.TemporaryFile()
        self.addCleanup(log.close)
        process = subprocess.Popen(self.inside(*command, environment=environment), stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        url = f"http://127.0.0.1:{admin}/readyz"
        until("/readyz", lambda: urllib.request.urlopen(url).status == 200, [process])
        self.assertIn("journal.db", os.listdir(self.data))
        # bwrap hands no signal on: its child is the first process of the sandbox, and that one's child is ringpost.
        os.kill(self.ringpost_below(process.pid), signal.SIGTERM)
        grace = seconds(setting(key="shutdown.grace"))
        self.assertEqual(process.wait(timeout=grace + TIMEOUT), 0)
        log.seek(0)
        self.assertIn(b"ringpost is down", log.read())

    @staticmethod
    def ringpost_below(pid: int) -> int:
        while Path(f"/proc/{pid}/comm").read_text().strip() != "ringpost":
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return pid


if __name__ == "__main__":
    unittest.main()
