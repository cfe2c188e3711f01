{{- define "llm.labels" -}}
app.kubernetes.io/part-of: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* Labels by which the service finds its pods, whatever their tier. */ -}}
{{- define "llm.serviceLabels" -}}
app.kubernetes.io/name: {{ .Values.inference.name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: inference
{{- end -}}

{{- define "llm.batchLabels" -}}
app.kubernetes.io/name: {{ .Values.training.name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: training
{{- end -}}

{{- /*
The Deployments of the service as a list of {fullname, tier, resource, units, safeConcurrency,
minReplicas, maxReplicas, nodeSelector, metadata}: one per tier, or one without tiers.
*/ -}}
{{- define "llm.deployments" -}}
{{- $one := .Values.inference -}}
{{- $gpu := .Values.gpu -}}
{{- $list := list -}}
{{- if $one.tiers -}}
{{- range $one.tiers -}}
{{- $metadata := dict "tierGroup" $one.name "tierCost" (toString .cost) "tierPreference" (toString .preference) -}}
{{- $list = append $list (dict
  "fullname" (printf "%s-%s" $one.name .name)
  "tier" .name
  "resource" (default $gpu.resource .resource)
  "units" (default $one.unitsPerReplica .unitsPerReplica)
  "safeConcurrency" .safeConcurrency
  "minReplicas" (default 0 .minReplicas)
  "maxReplicas" .maxReplicas
  "nodeSelector" .nodeSelector
  "metadata" $metadata) -}}
{{- end -}}
{{- else -}}
{{- $list = append $list (dict
  "fullname" $one.name
  "tier" ""
  "resource" $gpu.resource
  "units" $one.unitsPerReplica
  "safeConcurrency" $one.safeConcurrency
  "minReplicas" $one.minReplicas
  "maxReplicas" $one.maxReplicas
  "nodeSelector" $gpu.nodeSelector
  "metadata" dict) -}}
{{- end -}}
{{- range $list -}}
{{- if and (contains "/mig-" .resource) (gt (int .units) 1) -}}
{{- fail (printf "%s: an engine cannot span MIG slices; set inference.unitsPerReplica to 1 or use a larger profile than %s" .fullname .resource) -}}
{{- end -}}
{{- end -}}
{{- toYaml $list -}}
{{- end -}}

{{- /* The PersistentVolumeClaim with the model; empty: pulled from a hub at each start. */ -}}
{{- define "llm.modelClaim" -}}
{{- if .Values.fluid.enabled -}}
{{- if .Values.inference.modelClaim -}}
{{- fail "state inference.modelClaim or fluid.enabled, not both: either one fills /models" -}}
{{- end -}}
{{- printf "%s-model" .Values.inference.name -}}
{{- else -}}
{{- if and (hasPrefix "/" .Values.inference.model) (not .Values.inference.modelClaim) -}}
{{- fail (printf "inference.model is a path (%s): state inference.modelClaim or fluid.enabled" .Values.inference.model) -}}
{{- end -}}
{{- .Values.inference.modelClaim -}}
{{- end -}}
{{- end -}}

{{- define "llm.servedModelName" -}}
{{- default (base .Values.inference.model) .Values.inference.servedModelName -}}
{{- end -}}

{{- define "llm.toleration" -}}
- key: {{ .Values.gpu.taint.key }}
  operator: Exists
  effect: {{ .Values.gpu.taint.effect }}
{{- end -}}

{{- /*
Replicas of a Deployment: those it has, since KEDA owns the number and an upgrade must not touch it,
else the given first count. Takes (list root namespace name first).
*/ -}}
{{- define "llm.replicas" -}}
{{- $live := lookup "apps/v1" "Deployment" (index . 1) (index . 2) -}}
{{- if $live -}}{{- $live.spec.replicas -}}{{- else -}}{{- index . 3 -}}{{- end -}}
{{- end -}}

{{- /* Windows, rates and delays are decided by kvtide, once; the HPA adds nothing. */ -}}
{{- define "llm.behavior" -}}
horizontalPodAutoscalerConfig:
  behavior:
    {{- range $way := list "scaleUp" "scaleDown" }}
    {{ $way }}:
      tolerance: "0"
      stabilizationWindowSeconds: 0
      selectPolicy: Max
      policies:
        - {type: Pods, value: 1000, periodSeconds: 1}
    {{- end }}
{{- end -}}

{{- /* "true" where batch work has one size: it runs whole or not at all. */ -}}
{{- define "llm.isGang" -}}
{{- with .Values.training -}}
{{- or (and (eq .kind "Job") (eq .resize "Never")) (eq (int .minWorkers) (int .maxWorkers)) -}}
{{- end -}}
{{- end -}}

{{- define "llm.fewestWorkers" -}}
{{- ternary .Values.training.maxWorkers .Values.training.minWorkers (eq (include "llm.isGang" .) "true") | int -}}
{{- end -}}
