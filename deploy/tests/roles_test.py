"""The overlay `kafka` on a real broker: every container's command with its variables, as Kubernetes would start it, and a
call that goes through all of them. Wants a broker (scripts/kafka run scripts/deploy-check roles_test.py)."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path

from kustomize_test import build, folder
from live_test import DEMO, TOKEN, fresh
from place import binary, free_port, run, until

BROKER = os.environ.get("RINGPOST_TEST_KAFKA")
#: Where the tests may keep a store that several processes share; without it, it is a folder.
STORE = os.environ.get("RINGPOST_TEST_POSTGRES")
KNOWS_ROLES = "--roles" in subprocess.run([binary(), "serve", "--help"], capture_output=True, text=True).stdout


@unittest.skipUnless(BROKER, "RINGPOST_TEST_KAFKA names no broker")
@unittest.skipUnless(KNOWS_ROLES, "this ringpost has no roles")
class Roles(unittest.TestCase):
    def setUp(self):
        self.home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.home)
        self.receiver = self.spawn("sink", ["sink", "--quiet", "--listen", "127.0.0.1:0"], {})
        log = self.home / "sink.log"
        self.origin = until("the receiver", lambda: re.search(r"127\.0\.0\.1:\d+", log.read_text()), [self.receiver])[0]

    def spawn(self, name, arguments, environment):
        with open(self.home / f"{name}.log", "w") as log:
            process = subprocess.Popen([binary(), *arguments], stdout=log, stderr=subprocess.STDOUT,
                                       env=environment or None)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def environment(self, container: dict, pod: str) -> dict[str, str]:
        """As Kubernetes would make it of the manifest; what is elsewhere here is said on top."""
        secret = {"data-key": "5" * 64, "store-url": STORE}
        values = {}
        for variable in container["env"]:
            source = variable.get("valueFrom", {})
            value = variable.get("value")
            if "fieldRef" in source:
                self.assertEqual(source["fieldRef"]["fieldPath"], "metadata.name")
                value = pod
            if "secretKeyRef" in source:
                value = secret.get(source["secretKeyRef"]["key"])
            if value is not None:
                values[variable["name"]] = value
        return values | {
            "RINGPOST_CONFIG": str(folder("kafka") / "ringpost.toml"),
            "RINGPOST_BUS__KAFKA__BOOTSTRAP": BROKER,
            "RINGPOST_BUS__KAFKA__PREFIX": f"deploy{os.getpid()}.",
            "RINGPOST_BUS__PARTITIONS": "4",
            "RINGPOST_DATA__DIR": str(self.home / "data"),
            "RINGPOST_SESSIONS__SETTLE": "200ms",
            "RINGPOST_DELIVERY__ALLOW_HTTP": "true",
            "RINGPOST_DELIVERY__ALLOW_NETWORKS": "127.0.0.0/8",
        }

    def test_every_role_comes_up_as_its_manifest_says_and_a_call_goes_through_all(self):
        pods = {}
        for document in build("kafka"):
            if document["kind"] in ("Job", "Deployment", "StatefulSet"):
                [container] = document["spec"]["template"]["spec"]["containers"]
                pods[document["metadata"]["name"]] = container
        job = pods.pop("ringpost-topics")
        arguments = [part if part != "3" else "1" for part in job["args"]]
        run(binary(), *arguments, env=self.environment(job, "ringpost-topics-x"))
        company = self.home / "company.toml"
        company.write_text((DEMO / "company.toml").read_text().replace("127.0.0.1:9000", self.origin))
        anyone = self.environment(job, "ringpost-api-x")
        run(binary(), "apply", "-f", company, env=anyone)
        ports = {}
        processes = []
        for name, container in sorted(pods.items()):
            http, ports[name] = free_port(), free_port()
            environment = self.environment(container, f"{name}-0") | {
                "RINGPOST_HTTP__LISTEN": f"127.0.0.1:{http}", "RINGPOST_ADMIN__LISTEN": f"127.0.0.1:{ports[name]}"}
            processes.append(self.spawn(name, container["args"], environment))
            if name == "ringpost-ingest":
                intake = http
        for name, container in pods.items():
            for probe in ("livenessProbe", "readinessProbe"):
                path = container[probe]["httpGet"]["path"]
                url = f"http://127.0.0.1:{ports[name]}{path}"
                until(f"{name} {path}", lambda: urllib.request.urlopen(url).status == 200, processes)
        legs = fresh((DEMO / "calls/1-attended-transfer.ndjson").read_text().splitlines(), "-of-the-roles")
        request = urllib.request.Request(f"http://127.0.0.1:{intake}/ingest/k1", data="\n".join(legs).encode(),
                                         headers={"Authorization": f"Bearer {TOKEN}"})
        self.assertEqual(urllib.request.urlopen(request).status, 202)

        def told(metric):
            text = urllib.request.urlopen(f"http://127.0.0.1:{ports['ringpost-dispatch']}/metrics").read().decode()
            return re.search(rf"^{metric} [1-9]", text, re.M)

        until("a delivery", lambda: told(r'ringpost_deliver_attempts_total\{outcome="success"\}'), processes)
        for process in processes:
            process.terminate()
        self.assertEqual([process.wait(timeout=60) for process in processes], [0] * len(processes))


if __name__ == "__main__":
    unittest.main()
