"""What Kubernetes is told: built, held against its schemas, and against what ringpost promises and needs."""

import re
import tempfile
import tomllib
import unittest
from pathlib import Path

import yaml

from place import DEPLOY, ROOT, binary, run, seconds, setting, tool, version

OVERLAYS = ["single", "kafka"]
#: The Kubernetes whose schemas are asked; kubernetes-validate brings them (requirements.in).
KUBERNETES = "1.37.0"
WORKLOADS = {"StatefulSet", "Deployment", "Job"}
ROLES = ["ingest", "aggregate", "dispatch", "api"]


def folder(overlay: str) -> Path:
    return DEPLOY / "kustomize/overlays" / overlay


def build(overlay: str) -> list[dict]:
    return list(yaml.safe_load_all(run(tool("kustomize"), "build", folder(overlay))))


class Kustomize(unittest.TestCase):
    #: What is being looked at.
    at = ""

    @classmethod
    def setUpClass(cls):
        cls.built = {overlay: build(overlay) for overlay in OVERLAYS}

    def each(self, *kinds):
        for overlay, documents in self.built.items():
            for document in documents:
                if document["kind"] in kinds:
                    self.at = f"{overlay}, {document['kind']} {document['metadata']['name']}"
                    yield overlay, document
        self.at = ""

    def _formatMessage(self, msg, standardMsg):
        return super()._formatMessage(msg, f"{self.at}: {standardMsg}")

    def pods(self):
        for overlay, workload in self.each(*WORKLOADS):
            yield overlay, workload, workload["spec"]["template"]["spec"]

    def served(self):
        return ((overlay, workload, pod) for overlay, workload, pod in self.pods() if workload["kind"] != "Job")

    def test_the_schemas_of_kubernetes_know_every_field(self):
        for overlay in OVERLAYS:
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                yaml.safe_dump_all(self.built[overlay], file)
                file.flush()
                said = run(tool("kubernetes_validate"), "--strict", "-k", KUBERNETES, file.name)
            self.assertEqual(said.count("passed"), len(self.built[overlay]), said)

    def test_a_wrong_field_would_be_noticed(self):
        _, workload = next(self.each("StatefulSet"))
        wrong = yaml.safe_load(yaml.safe_dump(workload))
        wrong["spec"]["replica"] = 1
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(wrong, file)
            file.flush()
            with self.assertRaises(AssertionError):
                run(tool("kubernetes_validate"), "--strict", "-k", KUBERNETES, file.name)

    def test_every_role_runs_and_only_the_stateful_ones_keep_their_names(self):
        kinds = {w["metadata"]["name"]: (w["kind"], p["containers"][0]["args"])
                 for overlay, w, p in self.pods() if overlay == "kafka"}
        wanted = {f"ringpost-{role}": ("Deployment" if role in ("ingest", "api") else "StatefulSet",
                                       ["serve", "--roles", role]) for role in ROLES}
        wanted["ringpost-topics"] = ("Job", ["topics", "create", "--replicas", "3"])
        self.assertEqual(kinds, wanted)
        single = [(w["kind"], w["spec"]["replicas"], p["containers"][0]["args"]) for o, w, p in self.pods()
                  if o == "single"]
        self.assertEqual(single, [("StatefulSet", 1, ["serve"])])

    def test_pods_may_do_nothing_that_they_need_not(self):
        for _, _, pod in self.pods():
            self.assertIs(pod["automountServiceAccountToken"], False)
            self.assertEqual(pod["serviceAccountName"], "ringpost")
            self.assertTrue(pod["securityContext"]["runAsNonRoot"])
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & pod.keys())
            for container in pod["containers"]:
                context = container["securityContext"]
                self.assertTrue(context["readOnlyRootFilesystem"])
                self.assertIs(context["allowPrivilegeEscalation"], False)
                self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
        for _, account in self.each("ServiceAccount"):
            self.assertIs(account["automountServiceAccountToken"], False)

    def test_every_image_says_its_version(self):
        for _, _, pod in self.pods():
            for container in pod["containers"]:
                self.assertEqual(container["image"], f"ringpost:{version()}")

    def test_every_container_says_what_it_needs_and_no_more_than_it_may_take(self):
        for _, _, pod in self.pods():
            for container in pod["containers"]:
                resources = container["resources"]
                self.assertLessEqual({"cpu", "memory"}, resources["requests"].keys())
                self.assertIn("memory", resources["limits"])
                self.assertNotIn("cpu", resources["limits"])

    def test_probes_ask_a_port_that_is_open_there_and_configured(self):
        for overlay, _, pod in self.served():
            configured = folder(overlay) / "ringpost.toml"
            listen = {"admin": setting(configured, key="admin.listen"), "http": setting(configured, key="http.listen")}
            for container in pod["containers"]:
                ports = {port["name"]: port["containerPort"] for port in container["ports"]}
                for name, port in ports.items():
                    self.assertEqual(listen[name], f"0.0.0.0:{port}")
                for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
                    asked = container[f"{probe}Probe"]["httpGet"]
                    self.assertEqual(asked["path"], path)
                    self.assertIn(asked["port"], ports)

    def test_the_pod_is_killed_only_after_the_time_in_which_it_ends_by_itself(self):
        for overlay, _, pod in self.served():
            grace = seconds(setting(folder(overlay) / "ringpost.toml", key="shutdown.grace"))
            for container in pod["containers"]:
                before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
                self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], before + grace + 10)

    def test_secrets_are_named_and_never_written_down(self):
        for _, _, pod in self.pods():
            for container in pod["containers"]:
                for variable in container["env"]:
                    if re.search("PASSWORD|KEY|TOKEN|URL|SECRET", variable["name"]):
                        self.assertNotIn("value", variable)
                        self.assertEqual(variable["valueFrom"]["secretKeyRef"]["name"], "ringpost")
        for overlay, documents in self.built.items():
            self.assertNotIn("Secret", [document["kind"] for document in documents])
            text = (folder(overlay) / "ringpost.toml").read_text()
            self.assertNotRegex("\n".join(line for line in text.splitlines() if line[:1] != "#"),
                                r"(?i)password|://[^/\s]*:[^/\s]*@|[0-9a-f]{64}|whsec_")

    def test_the_configuration_is_the_file_and_a_change_of_it_is_a_change_of_the_pods(self):
        for overlay, document in self.each("ConfigMap"):
            text = (folder(overlay) / "ringpost.toml").read_text()
            self.assertEqual(document["data"], {"ringpost.toml": text})
            tomllib.loads(text)
            self.assertRegex(document["metadata"]["name"], r"^ringpost-config-[a-z0-9]{10}$")
        for overlay, _, pod in self.pods():
            maps = {d["metadata"]["name"] for d in self.built[overlay] if d["kind"] == "ConfigMap"}
            mounted = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
            self.assertEqual(mounted, maps)

    def test_ringpost_takes_the_configuration_and_knows_every_variable(self):
        default = (ROOT / "config/default.toml").read_text()
        values = {"DATA__KEY": "0" * 64, "STORE__URL": "postgres://ringpost@postgresql/ringpost"}
        for overlay in OVERLAYS:
            names = {variable["name"] for _, pod in ((o, p) for o, _, p in self.pods() if o == overlay)
                     for variable in pod["containers"][0]["env"]} - {"RINGPOST_CONFIG"}
            if "\n# url = " not in default:
                names.discard("RINGPOST_STORE__URL")
            environment = {name: values.get(name.removeprefix("RINGPOST_"), "x") for name in names}
            self.assertIn("RINGPOST_DATA__KEY", environment)
            run(binary(), "check-config", folder(overlay) / "ringpost.toml", env=environment)

    def test_a_pod_that_comes_back_is_the_same_member_of_its_groups(self):
        for overlay, _, pod in self.pods():
            if overlay == "kafka":
                names = [variable for variable in pod["containers"][0]["env"]
                         if variable["name"] == "RINGPOST_BUS__KAFKA__INSTANCE"]
                self.assertEqual([name["valueFrom"]["fieldRef"]["fieldPath"] for name in names], ["metadata.name"])

    def test_there_are_not_more_workers_than_partitions(self):
        partitions = setting(folder("kafka") / "ringpost.toml", key="bus.partitions")
        for _, workload, _ in self.served():
            self.assertLessEqual(workload["spec"]["replicas"], partitions)

    def test_every_pod_is_found_by_its_service_its_budget_and_the_policies(self):
        for overlay, workload, _ in self.served():
            labels = workload["spec"]["template"]["metadata"]["labels"]
            self.assertEqual(workload["spec"]["selector"]["matchLabels"], labels)
            component = labels["app.kubernetes.io/component"]
            budgets = [d for d in self.built[overlay] if d["kind"] == "PodDisruptionBudget"
                       and d["spec"]["selector"]["matchLabels"] == labels]
            self.assertEqual([budget["spec"]["maxUnavailable"] for budget in budgets], [1])
            if workload["kind"] == "StatefulSet":
                services = {d["metadata"]["name"]: d["spec"]["selector"] for d in self.built[overlay]
                            if d["kind"] == "Service"}
                self.assertEqual(services[workload["spec"]["serviceName"]], labels)
            policies = {d["metadata"]["name"]: d["spec"] for d in self.built[overlay] if d["kind"] == "NetworkPolicy"}
            def selects(name):
                selector = policies[name]["podSelector"]
                return all(component in one["values"] for one in selector.get("matchExpressions", []))
            self.assertTrue(selects("default-deny") and selects("dns") and selects("admin-from-monitoring"))
            self.assertEqual(selects("http"), component in ("all", "ingest", "api"))
            self.assertEqual(selects("receivers"), component in ("all", "dispatch"))

    def test_nothing_is_allowed_by_default_and_receivers_are_outside(self):
        for overlay in OVERLAYS:
            policies = {d["metadata"]["name"]: d["spec"] for d in self.built[overlay] if d["kind"] == "NetworkPolicy"}
            deny = policies["default-deny"]
            self.assertEqual((deny["podSelector"], deny["policyTypes"]), ({}, ["Ingress", "Egress"]))
            self.assertFalse({"ingress", "egress"} & deny.keys())
            blocks = {to["ipBlock"]["cidr"]: to["ipBlock"]["except"] for to in policies["receivers"]["egress"][0]["to"]}
            private = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"}
            self.assertLessEqual(private, set(blocks["0.0.0.0/0"]))
            self.assertLessEqual({"fc00::/7", "fe80::/10"}, set(blocks["::/0"]))
            self.assertEqual({"kafka", "postgresql"} <= policies.keys(), overlay == "kafka")

    def test_all_is_in_one_namespace_that_refuses_what_is_not_restricted(self):
        for _, document in self.each("Namespace"):
            self.assertEqual(document["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")
        for documents in self.built.values():
            for document in documents:
                if document["kind"] != "Namespace":
                    self.assertEqual(document["metadata"]["namespace"], "ringpost")


if __name__ == "__main__":
    unittest.main()
