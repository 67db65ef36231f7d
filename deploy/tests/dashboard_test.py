"""The dashboard as a document: what a person who has never seen it needs on every panel. live_test.py asks its queries."""

import json
import re
import unittest

from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Known

from place import DEPLOY

DASHBOARD = DEPLOY / "grafana/pipeline.json"


def dashboard() -> dict:
    return json.loads(DASHBOARD.read_text())


def panels() -> list[dict]:
    """Those that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def lost(before, after, path="") -> list[str]:
    """What of a document is not there any more after it was read and written."""
    if isinstance(before, dict):
        inner = [(f"{path}.{key}", value, after.get(key) if isinstance(after, dict) else None)
                 for key, value in before.items()]
    elif isinstance(before, list):
        inner = [(path, value, other) for value, other in zip(before, after or [None] * len(before))]
    else:
        return [] if before == after else [path]
    return [place for path, value, other in inner for place in lost(value, other, path)]


class Dashboard(unittest.TestCase):
    def test_grafana_knows_every_field(self):
        register_default_plugins()

        def read_and_written(document):
            return json.loads(json.dumps(Known.from_json(document), default=lambda part: part.to_json()))

        # Grafana writes these two itself, and its own types do not have them.
        unknown = set(lost(dashboard(), read_and_written(dashboard())))
        self.assertEqual(unknown, {".annotations.list.builtIn", ".templating.list.definition"})
        for place in ("fieldConfig", "options", "gridPos"):
            wrong = dashboard()
            wrong["panels"][1][place]["colour"] = "red"
            self.assertIn(f".panels.{place}.colour", lost(wrong, read_and_written(wrong)))

    def test_every_panel_says_what_it_shows_and_in_what_unit(self):
        self.assertGreater(len(panels()), 20)
        for panel in panels():
            with self.subTest(panel=panel["title"]):
                self.assertGreater(len(panel["description"]), 30)
                self.assertRegex(panel["description"], r"\.$")
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                self.assertTrue(all(target["legendFormat"] for target in panel["targets"]))

    def test_titles_and_numbers_are_there_once_and_nothing_overlaps(self):
        everything = dashboard()["panels"]
        ids = [panel["id"] for panel in everything]
        self.assertEqual(len(set(ids)), len(ids))
        titles = [panel["title"] for panel in everything]
        self.assertEqual(sorted(set(titles)), sorted(titles))
        taken = {}
        for panel in everything:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertIsNone(taken.get((x, y)), f"{panel['title']} lies over {taken.get((x, y))}")
                    taken[x, y] = panel["title"]

    def test_every_query_asks_the_chosen_prometheus_about_the_chosen_processes(self):
        variables = {variable["name"] for variable in dashboard()["templating"]["list"]}
        self.assertEqual(variables, {"datasource", "namespace", "instance"})
        for panel in panels():
            for target in panel["targets"]:
                with self.subTest(panel=panel["title"], expr=target["expr"]):
                    self.assertEqual(target["datasource"]["uid"], "${datasource}")
                    for metric in re.findall(r"(?:ringpost|process)_\w+", target["expr"]):
                        self.assertIn(metric + '{namespace=~"$namespace",instance=~"$instance"', target["expr"])

    def test_what_the_pipeline_is_judged_by_is_on_it(self):
        text = json.dumps(dashboard())
        for metric in ("ingest_legs_accepted_total", "session_records_total", "session_live", "session_settle_seconds",
                       "deliver_attempts_total", "deliver_request_seconds", "deliver_debts",
                       "deliver_oldest_due_seconds", "deliver_lanes", "dead_letters", "stage_lag_seconds",
                       "queue_depth", "process_cpu_seconds_total", "process_resident_memory_bytes"):
            self.assertIn(metric, text)
        for quantile in ("0.5", "0.95", "0.99"):
            self.assertIn(f"histogram_quantile({quantile}, sum by (le) (rate(ringpost_deliver_request_seconds", text)


if __name__ == "__main__":
    unittest.main()
