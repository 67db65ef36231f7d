"""A real server with the demo's company and calls, a real Prometheus that scrapes it every second, receivers and switches
that misbehave: every panel of the dashboard must have something to show, every alert something to look at."""

import json
import math
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from dashboard_test import panels
from place import DEPLOY, ROOT, binary, free_port, run, tool, until
from rules_test import alerts

DEMO = ROOT / "fixtures/demo"
TOKEN = "demo-token-of-the-head-office"
#: What Grafana puts in.
VARIABLES = {"$namespace": ".*", "$instance": ".*", "$__rate_interval": "15s"}
#: What is zero in a pipeline that is well, and cannot be made otherwise here: the series must be there.
QUIET = {
    "Refused by the log, failed", "Queues", "Lag", "Records not read", "Age of tables",
    # Counted in whole seconds, which take a while.
    "CPU",
}
#: What goes wrong below shows in these at once; how long it has to last is in rules_test.yaml.
WRONG = {"RingpostReceiverDown", "RingpostDeadLetters", "RingpostBacklogFull"}

CONFIG = """
[data]
dir = "{folder}/data"
[http]
listen = "127.0.0.1:{http}"
[admin]
listen = "127.0.0.1:{admin}"
[sessions]
settle = "200ms"
max_legs = 20
[delivery]
max_owed = 100
allow_http = true
allow_networks = ["127.0.0.0/8"]
# A receiver counts as down as soon as it can.
[delivery.breaker]
many = 4
many_over = "1s"
first_probe = "1s"
[[source.file]]
path = "{folder}/legs/*.ndjson"
pbx = "k1"
"""

REFUSES = """
[[trigger]]
tenant = "acme"
name = "Every call to somebody who refuses"
url = "http://127.0.0.1:9000/refuses"

[[trigger]]
tenant = "acme"
name = "Every call, once, to somebody who has it fail now and then"
url = "http://127.0.0.1:9000/lossy"
retries = 0
"""

CONTACTS = """name,phone
Gina Green,+442079460017
"""

PROMETHEUS = """
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [{rules}]
scrape_configs:
  - job_name: ringpost
    static_configs: [{{ targets: ["127.0.0.1:{admin}"] }}]
"""


class Pipeline:
    """Server, receiver, Prometheus, and a switch that tells of calls all the time."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp())
        self.http, self.admin, self.web = free_port(), free_port(), free_port()
        self.started, self.over, self.sent = [], threading.Event(), 0
        self.trouble = None

    def start(self):
        config, company = self.folder / "ringpost.toml", self.folder / "company"
        config.write_text(CONFIG.format(folder=self.folder, http=self.http, admin=self.admin))
        (self.folder / "legs").mkdir()
        shutil.copy(DEMO / "calls/2-park-and-retrieve.ndjson", self.folder / "legs")
        sink = self.spawn("sink", "--quiet", "--listen", "127.0.0.1:0", "--route", "/counter=fail-first:1",
                          "--route", "/refuses=status:503", "--route", "/lossy=fail-every:3")
        said = self.folder / "sink.log"
        origin = until("the receiver", lambda: re.search(r"127\.0\.0\.1:\d+", said.read_text()), [sink])[0]
        company.mkdir()
        text = (DEMO / "company.toml").read_text() + REFUSES
        (company / "company.toml").write_text(text.replace("127.0.0.1:9000", origin))
        run(binary(), "apply", "-f", company, "--config", config)
        contacts = self.folder / "contacts.csv"
        contacts.write_text(CONTACTS)
        run(binary(), "import", "contacts", "--tenant", "acme", "--directory", "Friends", "--config", config, contacts)
        self.serve = self.spawn("serve", "--config", config)
        until("/readyz", lambda: self.get(self.admin, "/readyz"), [self.serve])
        watching = self.folder / "prometheus.yaml"
        watching.write_text(PROMETHEUS.format(rules=DEPLOY / "prometheus/rules.yaml", admin=self.admin))
        self.prometheus = self.spawn(
            f"--config.file={watching}", f"--storage.tsdb.path={self.folder}/prometheus",
            f"--web.listen-address=127.0.0.1:{self.web}", "--log.level=warn", program=tool("prometheus"))
        until("Prometheus", lambda: self.get(self.web, "/-/ready"), [self.prometheus])
        threading.Thread(target=self.tell, daemon=True).start()

    def spawn(self, *arguments, program=None):
        name = "prometheus" if program else arguments[0]
        with open(self.folder / f"{name}.log", "w") as log:
            command = [str(part) for part in (program or binary(), *arguments)]
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.started.append(process)
        return process

    def stop(self):
        self.over.set()
        for process in self.started:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    @staticmethod
    def get(port: int, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.read()

    def post(self, body: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/ingest/k1", data=body.encode(),
                                         headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def tell(self):
        """Calls that end now, twenty a second. Of ten, one has a leg that comes twice and one that comes late, and one has
        more legs than a call may have."""
        files = [(DEMO / "calls" / name).read_text().splitlines() for name in
                 ("1-attended-transfer.ndjson", "3-lost-in-the-queue.ndjson")]
        late = []
        try:
            while not self.over.wait(0.05):
                self.sent += 1
                legs = fresh(files[self.sent % 2], f"-{self.sent}")
                if self.sent % 10 == 1:
                    late.append((time.monotonic() + 2, legs.pop()))
                    legs += legs[:1]
                if self.sent % 10 == 2:
                    legs += [leg.replace('"leg": "', f'"leg": "{n}-') for n in range(10) for leg in legs]
                while late and late[0][0] < time.monotonic():
                    legs.append(late.pop(0)[1])
                assert self.post("\n".join(legs)) == 202
        except Exception as error:
            if not self.over.is_set():
                self.trouble = error

    def query(self, expression: str) -> list[float]:
        answer = json.loads(self.get(self.web, "/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        return [float(sample["value"][1]) for sample in answer["data"]["result"]]


def fresh(lines: list[str], suffix: str) -> list[str]:
    """The legs of a call of the demo, under other names, the last of them ended now."""
    legs = [json.loads(line) for line in lines]
    later = int(time.time() * 1e6) - max(leg.get("ended", 0) for leg in legs)

    def moved(value, key=None):
        if isinstance(value, dict):
            return {name: moved(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [moved(inner, key) for inner in value]
        if isinstance(value, int) and value > 10**15:
            return value + later
        return value + suffix if key in ("leg", "links", "with") else value

    return [json.dumps(moved(leg)) for leg in legs]


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pipeline = Pipeline()
        cls.addClassCleanup(cls.pipeline.stop)
        cls.pipeline.start()
        run(binary(), "send", "--quiet", "--pbx", "k1", "--token", TOKEN, "--to",
            f"http://127.0.0.1:{cls.pipeline.http}", DEMO / "calls/1-attended-transfer.ndjson")
        # Nobody can read that: it is refused, and among the dead letters.
        assert cls.pipeline.post('{"v":1,"kind":"leg"}') == 400

    def wait(self, what, look):
        alive = [self.pipeline.serve, self.pipeline.prometheus]
        found = until(what, look, alive)
        self.assertIsNone(self.pipeline.trouble)
        return found

    def test_1_every_panel_has_something_to_show(self):
        wanted = {(panel["title"], target["legendFormat"]): target["expr"] for panel in panels()
                  for target in panel["targets"]}
        self.assertEqual(len(wanted), sum(len(panel["targets"]) for panel in panels()))
        known = {name for title, legend in wanted for name in (title, (title, legend))}
        self.assertLessEqual(QUIET, known, "QUIET names panels that are gone")
        refused = self.pipeline.sent

        def look():
            # The same mistake over and over: what is counted by the second must not be over when it is looked at.
            self.pipeline.post(json.dumps({"v": 1, "kind": "leg", "leg": f"broken-{time.monotonic()}"}))
            for (title, legend), expression in list(wanted.items()):
                for name, value in VARIABLES.items():
                    expression = expression.replace(name, value)
                seen = self.pipeline.query(expression)
                may_be_zero = title in QUIET or (title, legend) in QUIET
                if any(math.isfinite(value) and (value > 0 or may_be_zero) for value in seen):
                    del wanted[title, legend]
            return None if wanted else True

        try:
            self.wait("all panels", look)
        except AssertionError as error:
            raise AssertionError(f"{error}; nothing, or only zero, for {list(wanted)}") from error
        self.assertGreater(self.pipeline.sent, refused)

    def test_2_every_alert_looks_at_something_that_is_there(self):
        for alert in alerts():
            metrics = set(re.findall(r"\b(?:up|ringpost_\w+)\b(?=[{\[\s)])", alert["expr"]))
            self.assertTrue(metrics, alert["alert"])
            for metric in metrics:
                with self.subTest(alert=alert["alert"], metric=metric):
                    self.wait(metric, lambda: self.pipeline.query(f"count({metric})"))

    def test_3_prometheus_takes_the_rules_and_what_is_wrong_now_shows_in_the_right_ones(self):
        for alert in alerts():
            if alert["alert"] in WRONG:
                self.wait(alert["alert"], lambda: self.pipeline.query(alert["expr"]))
        groups = json.loads(self.pipeline.get(self.pipeline.web, "/api/v1/rules"))["data"]["groups"]
        rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
        self.assertEqual(rules.keys(), {alert["alert"] for alert in alerts()})
        for name, rule in rules.items():
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), name)
        wrong = {alert["alert"] for alert in alerts() if self.pipeline.query(alert["expr"])}
        # The disk is this machine's own.
        wrong.discard("RingpostDiskNearlyFull")
        self.assertEqual(wrong, WRONG)
        for alert in rules["RingpostDeadLetters"]["alerts"]:
            self.assertNotIn("error", alert["annotations"]["summary"])

    def test_4_a_server_that_is_gone_is_down(self):
        down = next(alert["expr"] for alert in alerts() if alert["alert"] == "RingpostDown")
        self.assertEqual(self.pipeline.query(down), [])
        self.pipeline.over.set()
        self.pipeline.serve.terminate()
        self.pipeline.serve.wait()
        until("the alert", lambda: self.pipeline.query(down), [self.pipeline.prometheus])


if __name__ == "__main__":
    unittest.main()
