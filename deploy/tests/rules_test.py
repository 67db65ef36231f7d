"""The alerts: they are well formed, each has its test, and each says what to do, here and in docs/watching.md."""

import re
import tempfile
import unittest
from pathlib import Path

import yaml

from place import DEPLOY, ROOT, run, tool

RULES = DEPLOY / "prometheus/rules.yaml"
TESTS = DEPLOY / "prometheus/rules_test.yaml"


def alerts() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


class Rules(unittest.TestCase):
    def test_promtool_finds_nothing_wrong(self):
        self.assertIn(f"{len(alerts())} rules found", run(tool("promtool"), "check", "rules", RULES))

    def test_each_fires_when_it_should_and_only_then(self):
        run(tool("promtool"), "test", "rules", TESTS, cwd=TESTS.parent)
        fired = set(re.findall(r'alertname="(\w+)"', TESTS.read_text()))
        self.assertEqual(fired, {alert["alert"] for alert in alerts()})

    def test_an_alert_that_never_fires_would_be_noticed(self):
        for broken in alerts():
            groups = [{"name": "ringpost", "rules": [
                alert | {"expr": f"({alert['expr']}) > 1e18"} if alert is broken or alert["alert"] == broken["alert"]
                else alert for alert in alerts()]}]
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
                (Path(folder) / "rules_test.yaml").write_text(TESTS.read_text())
                with self.assertRaises(AssertionError, msg=broken["alert"]):
                    run(tool("promtool"), "test", "rules", "rules_test.yaml", cwd=folder)

    def test_each_says_how_bad_it_is_what_it_is_and_what_to_do(self):
        pages = {}
        for alert in alerts():
            with self.subTest(alert=alert["alert"]):
                self.assertIn(alert["labels"]["severity"], ("critical", "warning"))
                notes = alert["annotations"]
                self.assertEqual(set(notes), {"summary", "description", "runbook_url"})
                self.assertGreater(len(notes["description"]), 80)
                self.assertLess(len(notes["summary"]), 110)
                page, anchor = notes["runbook_url"].split("#")
                text = pages.setdefault(page, (ROOT / page).read_text())
                headings = [heading.lower() for heading in re.findall(r"^### (\w+)$", text, re.M)]
                self.assertEqual(headings.count(anchor), 1, f"{page} has no heading for it")


if __name__ == "__main__":
    unittest.main()
