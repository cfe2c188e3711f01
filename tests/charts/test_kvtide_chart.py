import json
from typing import Any

import pytest
import typer
import yaml

from charts import readme, schema
from scaler.check.files import check as check_files
from scaler.cli import app
from scaler.configuration import Configuration
from scaler.controller import elect
from scaler.controller.kinds import KINDS
from scaler.documents.configuration import read_configuration
from scaler.documents.trigger import parse_trigger
from scaler.readings.kubernetes.known import KnownCluster
from scaler.settings import Settings

from .helm import (
    CHARTS,
    PROMETHEUS_OPERATOR,
    ROOT,
    RefusedError,
    check,
    helm,
    named,
    of_kind,
    only,
    rendered,
)
from .values import undescribed

CHART = "kvtide"
SCALER = "release-kvtide"
CONTROLLER = "release-kvtide-controller"
NO_CONTROLLER = "--set=controller.enabled=false"
NO_API = "--set=kubernetes.enabled=false"
WITH_OPERATOR = (PROMETHEUS_OPERATOR,)
BY_CERT_MANAGER = ("--set=tls.enabled=true", "--set=tls.certManager.issuerRef.name=internal")


def kinds(*arguments: str, apis: tuple[str, ...] = ()) -> set[str]:
    return {manifest["kind"] for manifest in rendered(CHART, *arguments, apis=apis)}


def deployment(name: str, *arguments: str) -> Any:
    return named(rendered(CHART, *arguments), "Deployment", name)["spec"]


def pod(*arguments: str) -> Any:
    return deployment(SCALER, *arguments)["template"]["spec"]


def scaler(*arguments: str) -> Any:
    (container,) = pod(*arguments)["containers"]
    return container


def controller_pod(*arguments: str) -> Any:
    return deployment(CONTROLLER, *arguments)["template"]["spec"]


def controller(*arguments: str) -> Any:
    (container,) = controller_pod(*arguments)["containers"]
    return container


def environment(*arguments: str) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in scaler(*arguments)["env"]}


def test_helm_finds_nothing_to_complain_about():
    helm("lint", "--strict", CHARTS / CHART)


def test_by_default_there_is_nothing_that_needs_another_project():
    assert kinds() == {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
    }


def test_without_the_controller_and_the_api_nothing_has_any_right():
    manifests = rendered(CHART, NO_CONTROLLER, NO_API)
    assert {manifest["kind"] for manifest in manifests} == {
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    }
    assert only(manifests, "ServiceAccount")["automountServiceAccountToken"] is False


class TestPod:
    @pytest.mark.parametrize("name", [SCALER, CONTROLLER])
    def test_is_not_root_and_cannot_write_or_gain_rights(self, name):
        spec = deployment(name)["template"]["spec"]
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    @pytest.mark.parametrize(
        ("switches", "watches", "says"),
        [((), True, "on"), ((NO_API,), False, "off")],
        ids=["by default", "switched off"],
    )
    def test_has_a_token_of_the_api_only_where_it_watches_it(self, switches, watches, says):
        account = named(rendered(CHART, *switches), "ServiceAccount", SCALER)
        assert pod(*switches)["automountServiceAccountToken"] is watches
        assert account["automountServiceAccountToken"] is watches
        assert environment(*switches)["KVTIDE_KUBERNETES"] == says

    def test_may_read_what_it_watches_write_events_and_nothing_else(self):
        granted = rights(of=SCALER)
        events = {one for one in granted if one[1] == "events"}
        assert {(resource, verb) for _, resource, verb in events} == {("events", "create")}
        assert rights("--set=kubernetes.events=false", of=SCALER) == granted - events
        granted -= events
        assert {verb for _, _, verb in granted} == {"get", "list", "watch"}
        assert {resource for _, resource, _ in granted} == {
            f"{kind.lower()}s" for kind in KnownCluster().heard
        }

    def test_of_one_namespace_has_rights_there_alone(self):
        switches = ("--set=kubernetes.namespace=serve", NO_CONTROLLER)
        role = named(rendered(CHART, *switches), "Role", SCALER)
        assert "ClusterRole" not in kinds(*switches)
        assert role["metadata"]["namespace"] == "serve"
        assert all("nodes" not in rule["resources"] for rule in role["rules"])
        assert environment(*switches)["KVTIDE_KUBERNETES_NAMESPACE"] == "serve"

    @pytest.mark.parametrize("name", [SCALER, CONTROLLER])
    def test_does_not_get_variables_named_like_its_settings_from_the_service(self, name):
        assert deployment(name)["template"]["spec"]["enableServiceLinks"] is False

    def test_restarts_when_its_configuration_changes(self):
        def checksum(*arguments: str) -> str:
            annotations = deployment(SCALER, *arguments)["template"]["metadata"]["annotations"]
            return str(annotations["checksum/configuration"])

        changed = "--set=configuration.prometheus.default.url=http://elsewhere:9090"
        assert checksum() != checksum(changed)

    def test_spreads_over_nodes_and_zones_among_its_own_kind(self):
        constraints = pod()["topologySpreadConstraints"]
        labels = deployment(SCALER)["selector"]["matchLabels"]
        assert [one["topologyKey"] for one in constraints] == [
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        ]
        assert all(one["labelSelector"]["matchLabels"] == labels for one in constraints)

    def test_is_told_about_itself_in_words_that_it_knows(self):
        switch = "--set=tls.enabled=true,tls.mutual=true,tls.existingSecret=mine"
        one_namespace = "--set=kubernetes.namespace=serve"
        stated = environment(switch, one_namespace, NO_CONTROLLER)
        assert {name.removeprefix("KVTIDE_").lower() for name in stated} <= set(
            Settings.model_fields
        )

    def test_has_time_to_drain(self):
        settings = Settings()
        assert pod()["terminationGracePeriodSeconds"] > settings.drain_delay + settings.drain_grace

    def test_has_no_cpu_limit(self):
        assert "cpu" not in scaler()["resources"]["limits"]

    @pytest.mark.parametrize(
        ("arguments", "image"),
        [
            pytest.param((), "kvtide:0.1.0", id="the chart's version by default"),
            pytest.param(("--set=image.tag=1.2.3",), "kvtide:1.2.3", id="a tag"),
            pytest.param(
                ("--set=image.digest=sha256:" + "a" * 64, "--set=image.tag=1.2.3"),
                "kvtide@sha256:" + "a" * 64,
                id="a digest rather than a tag",
            ),
        ],
    )
    def test_runs(self, arguments, image):
        assert scaler(*arguments)["image"] == image


class TestService:
    def test_is_headless_and_so_has_the_ports_of_the_pod(self):
        service = only(rendered(CHART), "Service")["spec"]
        ports = {port["name"]: port["containerPort"] for port in scaler()["ports"]}
        assert service["clusterIP"] == "None"
        assert {port["name"]: port["port"] for port in service["ports"]} == ports

    def test_selects_the_pods(self):
        selector = only(rendered(CHART), "Service")["spec"]["selector"].items()
        assert selector <= deployment(SCALER)["template"]["metadata"]["labels"].items()
        assert not selector <= deployment(CONTROLLER)["template"]["metadata"]["labels"].items()


class TestConfiguration:
    def test_is_one_that_the_scaler_reads(self):
        text = only(rendered(CHART), "ConfigMap")["data"]["configuration.yaml"]
        read = read_configuration(text)
        assert read.prometheus["default"].url == "http://prometheus-operated.monitoring:9090"

    def test_is_mounted_where_the_scaler_looks(self):
        (mount,) = scaler()["volumeMounts"]
        assert scaler()["args"] == ["serve", "--config", mount["mountPath"] + "/configuration.yaml"]


class TestDisruptionBudget:
    def test_keeps_all_but_one(self):
        assert only(rendered(CHART), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1

    @pytest.mark.parametrize(
        "switch", ["scaler.replicas=1", "scaler.podDisruptionBudget.enabled=false"]
    )
    def test_is_absent_where_it_would_block_every_drain_or_is_not_wanted(self, switch):
        assert "PodDisruptionBudget" not in kinds(f"--set={switch}")


class TestNetworkPolicy:
    ON = "--set=networkPolicy.enabled=true"

    def test_admits_keda_and_the_controller_to_the_grpc_port_and_everyone_to_the_page(self):
        grpc, http = only(rendered(CHART, self.ON), "NetworkPolicy")["spec"]["ingress"]
        keda, ours = grpc["from"]
        assert grpc["ports"] == [{"port": "grpc", "protocol": "TCP"}]
        assert keda["podSelector"]["matchLabels"] == {"app": "keda-operator"}
        labels = deployment(CONTROLLER)["template"]["metadata"]["labels"]
        assert ours["podSelector"]["matchLabels"].items() <= labels.items()
        assert http == {"ports": [{"port": "http", "protocol": "TCP"}]}

    def test_leaves_egress_alone_unless_told(self):
        assert only(rendered(CHART, self.ON), "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"]

    def test_opens_the_way_to_pods_only_where_they_are_read(self):
        stated = (
            "--set=networkPolicy.enabled=true",
            "--set=networkPolicy.egress[0].ports[0].port=9090",
        )
        allowed = "--set=kubernetes.directScrape.enabled=true"
        ports = "--set=kubernetes.directScrape.ports={8000,9400}"
        policy = named(rendered(CHART, *stated, allowed, ports), "NetworkPolicy", SCALER)
        *_, pods = policy["spec"]["egress"]
        assert [one["port"] for one in pods["ports"]] == [8000, 9400]
        assert pods["to"] == [{"namespaceSelector": {}}]
        assert environment(allowed)["KVTIDE_DIRECT_SCRAPE"] == "true"
        closed = named(rendered(CHART, *stated), "NetworkPolicy", SCALER)
        assert len(closed["spec"]["egress"]) == len(policy["spec"]["egress"]) - 1
        assert "KVTIDE_DIRECT_SCRAPE" not in environment()

    def test_with_egress_still_lets_names_be_resolved(self):
        allowed = "--set=networkPolicy.egress[0].ports[0].port=9090"
        spec = only(rendered(CHART, self.ON, allowed), "NetworkPolicy")["spec"]
        names, prometheus = spec["egress"]
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert {port["port"] for port in names["ports"]} == {53}
        assert prometheus["ports"] == [{"port": 9090}]


class TestTls:
    def test_an_existing_secret_is_served_and_nothing_is_made(self):
        switch = ("--set=tls.enabled=true", "--set=tls.existingSecret=mine")
        volumes = {volume["name"]: volume for volume in pod(*switch)["volumes"]}
        assert volumes["tls"]["secret"]["secretName"] == "mine"
        assert environment(*switch)["KVTIDE_TLS_CERT_FILE"] == "/etc/kvtide-tls/tls.crt"
        assert "KVTIDE_TLS_CLIENT_CA_FILE" not in environment(*switch)
        assert "Certificate" not in kinds(*switch)

    def test_callers_are_asked_for_a_certificate_when_it_is_mutual(self):
        switch = ("--set=tls.mutual=true", *BY_CERT_MANAGER)
        assert environment(*switch)["KVTIDE_TLS_CLIENT_CA_FILE"] == "/etc/kvtide-tls/ca.crt"

    def test_cert_manager_makes_a_certificate_for_every_name_of_the_service(self):
        manifests = rendered(CHART, *BY_CERT_MANAGER)
        server = named(manifests, "Certificate", "release-kvtide-server")
        volumes = {volume["name"]: volume for volume in pod(*BY_CERT_MANAGER)["volumes"]}
        assert "release-kvtide.kvtide" in server["spec"]["dnsNames"]
        assert "release-kvtide.kvtide.svc" in server["spec"]["dnsNames"]
        assert server["spec"]["secretName"] == volumes["tls"]["secret"]["secretName"]

    def test_a_cluster_issuer_gives_keda_a_certificate_and_a_way_to_name_it(self):
        manifests = rendered(CHART, *BY_CERT_MANAGER)
        client = named(manifests, "Certificate", "release-kvtide-client")
        reference = only(manifests, "ClusterTriggerAuthentication")["spec"]["secretTargetRef"]
        assert client["metadata"]["namespace"] == "keda"
        assert {one["name"] for one in reference} == {client["spec"]["secretName"]}

    def test_an_issuer_of_one_namespace_cannot_sign_in_kedas(self):
        switch = (*BY_CERT_MANAGER, "--set=tls.certManager.issuerRef.kind=Issuer")
        assert len(of_kind(rendered(CHART, *switch), "Certificate")) == 1
        assert "ClusterTriggerAuthentication" not in kinds(*switch)

    def test_without_a_source_of_certificates_the_chart_says_what_it_needs(self):
        with pytest.raises(RefusedError, match="tls.enabled needs tls.existingSecret or"):
            rendered(CHART, "--set=tls.enabled=true")


def rights(*arguments: str, of: str = CONTROLLER) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in named(rendered(CHART, *arguments), "ClusterRole", of)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


class TestController:
    def test_is_started_with_flags_that_it_knows(self):
        switch = ("--set=tls.mutual=true", "--set=controller.namespace=training", *BY_CERT_MANAGER)
        command, *flags = controller(*switch)["args"]
        known = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
        assert {flag.partition("=")[0] for flag in flags} <= {
            name for parameter in known for name in parameter.opts
        }

    def test_asks_the_scaler_by_a_name_on_its_certificate(self):
        certificate = named(rendered(CHART, *BY_CERT_MANAGER), "Certificate", f"{SCALER}-server")
        (address,) = (flag for flag in controller()["args"] if flag.startswith("--scaler="))
        host, _, port = address.removeprefix("--scaler=").partition(":")
        assert host in certificate["spec"]["dnsNames"]
        assert port == "6000"

    def test_has_its_token(self):
        assert controller_pod()["automountServiceAccountToken"] is True

    def test_may_set_every_kind_of_job_that_can_borrow_and_no_more(self):
        rules = named(rendered(CHART), "ClusterRole", CONTROLLER)["rules"]
        groups = {rule["apiGroups"][0] for rule in rules if rule["verbs"] == ["get", "patch"]}
        assert groups - {"kvtide.io"} == {kind.group for kind in KINDS}
        assert all("*" not in rule["verbs"] + rule["resources"] for rule in rules)

    @pytest.mark.parametrize(
        ("value", "flag", "rules"),
        [
            (
                "fastPath",
                "--fast-path",
                {
                    ("apps", "deployments/scale", "get"),
                    ("apps", "deployments/scale", "patch"),
                    ("apps", "statefulsets/scale", "get"),
                    ("apps", "statefulsets/scale", "patch"),
                    ("leaderworkerset.x-k8s.io", "leaderworkersets/scale", "get"),
                    ("leaderworkerset.x-k8s.io", "leaderworkersets/scale", "patch"),
                    ("argoproj.io", "rollouts/scale", "get"),
                    ("argoproj.io", "rollouts/scale", "patch"),
                },
            ),
            ("podDeletionCost", "--pod-deletion-cost", {("", "pods", "patch")}),
        ],
    )
    def test_acts_ahead_of_the_hpa_only_where_asked_and_with_the_rights_for_it(
        self, value, flag, rules
    ):
        switch = f"--set=controller.{value}.enabled=true"
        assert flag not in controller()["args"]
        assert flag in controller(switch)["args"]
        assert rights(switch) - rights() == rules

    def test_keeps_its_lease_where_it_says_it_does(self):
        lease = named(rendered(CHART), "Role", f"{CONTROLLER}-lease")
        (_, held) = lease["rules"]
        assert f"--lease-namespace={lease['metadata']['namespace']}" in controller()["args"]
        assert held["resourceNames"] == [elect.LEASE]

    def test_of_one_namespace_has_rights_there_alone(self):
        switch = "--set=controller.namespace=training"
        role = named(rendered(CHART, switch), "Role", CONTROLLER)
        assert "ClusterRole" not in kinds(switch, NO_API)
        assert role["metadata"]["namespace"] == "training"
        assert "--namespace=training" in controller(switch)["args"]

    def test_sees_the_authority_of_the_servers_secret_and_not_its_key(self):
        switch = ("--set=tls.enabled=true", "--set=tls.existingSecret=mine")
        (volume,) = controller_pod(*switch)["volumes"]
        assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
        assert "--ca-file=/etc/kvtide-tls/ca.crt" in controller(*switch)["args"]

    def test_shows_a_certificate_of_its_own_when_asked(self):
        switch = ("--set=tls.mutual=true", *BY_CERT_MANAGER)
        made = named(rendered(CHART, *switch), "Certificate", CONTROLLER)
        (volume,) = controller_pod(*switch)["volumes"]
        assert volume["secret"]["secretName"] == made["spec"]["secretName"]
        assert "client auth" in made["spec"]["usages"]

    def test_needs_to_be_told_which_where_secrets_are_not_made(self):
        switch = "--set=tls.enabled=true,tls.mutual=true,tls.existingSecret=mine"
        with pytest.raises(RefusedError, match="needs tls.controllerSecret"):
            rendered(CHART, switch)
        (volume,) = controller_pod(switch, "--set=tls.controllerSecret=theirs")["volumes"]
        assert volume["secret"]["secretName"] == "theirs"


class TestMonitoring:
    def test_is_made_where_the_operator_is(self):
        assert {"ServiceMonitor", "PodMonitor", "PrometheusRule"} <= kinds(apis=WITH_OPERATOR)

    @pytest.mark.parametrize(
        ("switch", "kind"),
        [
            ("monitoring.serviceMonitor.enabled=false", "ServiceMonitor"),
            ("monitoring.prometheusRule.enabled=false", "PrometheusRule"),
        ],
    )
    def test_can_be_left_out(self, switch, kind):
        assert kind not in kinds(f"--set={switch}", apis=WITH_OPERATOR)

    def test_keeps_the_labels_that_say_which_object_is_meant(self):
        (endpoint,) = only(rendered(CHART, apis=WITH_OPERATOR), "ServiceMonitor")["spec"][
            "endpoints"
        ]
        assert endpoint["honorLabels"] is True

    def test_ships_the_alerts_of_the_repository(self):
        alerts = yaml.safe_load((ROOT / "dashboards/alerts.yaml").read_text())
        assert only(rendered(CHART, apis=WITH_OPERATOR), "PrometheusRule")["spec"] == alerts

    def test_runbooks_can_be_named_where_they_are_read(self):
        switch = "--set=monitoring.prometheusRule.runbooksUrl=https://docs.example/runbooks"
        groups = only(rendered(CHART, switch, apis=WITH_OPERATOR), "PrometheusRule")["spec"][
            "groups"
        ]
        urls = {rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]}
        assert all(url.startswith("https://docs.example/runbooks#kvtide") for url in urls)

    def test_ships_every_dashboard_for_the_sidecar(self):
        maps = [
            one
            for one in of_kind(rendered(CHART, apis=WITH_OPERATOR), "ConfigMap")
            if "grafana_dashboard" in one["metadata"]["labels"]
        ]
        shipped = {name: text for one in maps for name, text in one["data"].items()}
        built = {path.name: path.read_text() for path in (ROOT / "dashboards").glob("*.json")}
        assert shipped == built

    def test_dashboards_link_the_status_page_where_people_reach_it(self):
        switch = "--set=monitoring.dashboards.statusPage=https://kvtide.example"
        maps = of_kind(rendered(CHART, switch, apis=WITH_OPERATOR), "ConfigMap")
        texts = "".join(text for one in maps for text in one["data"].values())
        assert texts.count('"https://kvtide.example"') == 3
        assert "http://localhost:8080" not in texts

    def test_dashboards_can_be_left_out(self):
        manifests = rendered(CHART, "--set=monitoring.dashboards.enabled=false", apis=WITH_OPERATOR)
        assert len(of_kind(manifests, "ConfigMap")) == 1


class TestValues:
    @pytest.mark.parametrize(
        ("argument", "words"),
        [
            pytest.param("--set=scaler.replica=3", "replica is not allowed", id="a misspelt key"),
            pytest.param("--set=scaler.replicas=0", "replicas", id="no replicas"),
            pytest.param("--set=image.tag=latest", "tag", id="a tag that moves"),
            pytest.param("--set=image.digest=abc", "digest", id="a digest that is none"),
            pytest.param("--set=scaler.logLevel=loud", "logLevel", id="an unknown log level"),
            pytest.param(
                "--set=configuration.prometheus.default.timeuot=5s",
                "timeuot",
                id="a misspelt key of the configuration",
            ),
            pytest.param(
                "--set=configuration.prometheus.default.maxSeries=many",
                "maxSeries",
                id="a wrong value of the configuration",
            ),
            pytest.param(
                "--set=configuration.prometheus=null", "prometheus", id="no Prometheus at all"
            ),
            pytest.param(
                "--set=monitoring.serviceMonitor.interval=often", "interval", id="no duration"
            ),
        ],
    )
    def test_that_are_wrong_are_refused_by_name(self, argument, words):
        with pytest.raises(RefusedError, match=words):
            rendered(CHART, argument)

    def test_are_all_described_by_the_schema(self):
        described = json.loads((CHARTS / CHART / "values.schema.json").read_text())
        values = yaml.safe_load((CHARTS / CHART / "values.yaml").read_text())
        assert list(undescribed(values, described)) == []

    def test_of_the_configuration_are_described_as_the_scaler_reads_them(self):
        assert (CHARTS / CHART / "values.schema.json").read_text() == schema.rendered(), (
            "run: make generate"
        )

    def test_are_all_in_the_readme(self):
        assert (CHARTS / CHART / "README.md").read_text() == readme.rendered(CHART), (
            "run: make generate"
        )


@pytest.mark.parametrize("role", ["inference", "training"])
class TestExamples:
    def example(self, role: str) -> Any:
        return yaml.safe_load((CHARTS / CHART / f"examples/{role}.yaml").read_text())

    def test_are_what_keda_accepts(self, role):
        check(self.example(role))

    def test_have_metadata_that_the_scaler_reads(self, role):
        about = self.example(role)["metadata"]
        (trigger,) = self.example(role)["spec"]["triggers"]
        read = parse_trigger(
            about["namespace"], about["name"], trigger["metadata"], Configuration()
        )
        assert read.role == role

    def test_add_no_window_tolerance_or_limit_of_the_hpas_own(self, role):
        advanced = self.example(role)["spec"]["advanced"]
        behavior = advanced["horizontalPodAutoscalerConfig"]["behavior"]
        for way in ("scaleUp", "scaleDown"):
            assert behavior[way]["tolerance"] == "0"
            assert behavior[way]["stabilizationWindowSeconds"] == 0
            (policy,) = behavior[way]["policies"]
            assert policy["type"] == "Pods"
            assert policy["value"] >= self.example(role)["spec"]["maxReplicaCount"]

    def test_leave_nothing_to_warn_about(self, role):
        texts = {f"{role}.yaml": (CHARTS / CHART / f"examples/{role}.yaml").read_text()}
        assert check_files(texts, Configuration()).findings == ()


def test_a_frozen_process_is_failed_within_twenty_seconds_and_not_waited_for():
    probe = scaler()["livenessProbe"]
    worst_s = probe["failureThreshold"] * probe["periodSeconds"] + probe["timeoutSeconds"]
    assert worst_s <= 20
    assert probe["terminationGracePeriodSeconds"] <= 1
    start = scaler()["startupProbe"]
    assert start["failureThreshold"] * start["periodSeconds"] >= 120


class TestShards:
    TWO = ("--set=scaler.shards=2", "--set=networkPolicy.enabled=true", *BY_CERT_MANAGER)

    @pytest.mark.parametrize("kind", ["Deployment", "Service", "PodDisruptionBudget"])
    def test_each_has_its_own(self, kind):
        names = {one["metadata"]["name"] for one in of_kind(rendered(CHART, *self.TWO), kind)}
        assert names - {CONTROLLER} == {SCALER, f"{SCALER}-1"}

    @pytest.mark.parametrize("name", [SCALER, f"{SCALER}-1"])
    def test_a_service_selects_the_pods_of_its_own_deployment_alone(self, name):
        manifests = rendered(CHART, *self.TWO)
        selector = named(manifests, "Service", name)["spec"]["selector"].items()
        chosen = [
            one["metadata"]["name"]
            for one in of_kind(manifests, "Deployment")
            if selector <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert chosen == [name]

    def test_a_deployment_selects_its_own_pods_alone(self):
        deployments = of_kind(rendered(CHART, *self.TWO), "Deployment")
        for one in deployments:
            labels = one["spec"]["selector"]["matchLabels"].items()
            assert [
                other["metadata"]["name"]
                for other in deployments
                if labels <= other["spec"]["template"]["metadata"]["labels"].items()
            ] == [one["metadata"]["name"]]

    def test_rules_of_the_network_and_the_certificate_hold_for_each(self):
        manifests = rendered(CHART, *self.TWO)
        policy = named(manifests, "NetworkPolicy", SCALER)["spec"]["podSelector"]
        assert policy["matchExpressions"][0]["values"] == ["scaler", "scaler-1"]
        names = named(manifests, "Certificate", f"{SCALER}-server")["spec"]["dnsNames"]
        assert {SCALER, f"{SCALER}.kvtide", f"{SCALER}-1", f"{SCALER}-1.kvtide"} <= set(names)

    def test_metrics_of_each_are_scraped(self):
        manifests = rendered(CHART, *self.TWO, apis=WITH_OPERATOR)
        selector = named(manifests, "ServiceMonitor", SCALER)["spec"]["selector"]
        assert selector["matchExpressions"][0]["values"] == ["scaler", "scaler-1"]

    @pytest.mark.parametrize("shards", ["0", "65"])
    def test_there_is_at_least_one(self, shards):
        with pytest.raises(RefusedError, match="shards"):
            rendered(CHART, f"--set=scaler.shards={shards}")
