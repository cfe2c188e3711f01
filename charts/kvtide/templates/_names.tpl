{{- define "kvtide.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* The release's name alone where it already says kvtide. */ -}}
{{- define "kvtide.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "kvtide.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "kvtide.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* A shard's own end of names: the first has none, so that one shard is named as ever. */ -}}
{{- define "kvtide.ofShard" -}}
{{- with .shard }}-{{ . }}{{ end -}}
{{- end -}}

{{- define "kvtide.scalerName" -}}
{{- include "kvtide.fullname" . }}{{ include "kvtide.ofShard" . -}}
{{- end -}}

{{- /* Of one shard's pods; without a shard in the context, of the first's. */ -}}
{{- define "kvtide.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kvtide.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: scaler{{ include "kvtide.ofShard" . }}
{{- end -}}

{{- /* Selector of what belongs to any shard. */ -}}
{{- define "kvtide.everyShard" -}}
{{- if gt (int .Values.scaler.shards) 1 -}}
matchLabels:
  app.kubernetes.io/name: {{ include "kvtide.name" . }}
  app.kubernetes.io/instance: {{ .Release.Name }}
matchExpressions:
  - key: app.kubernetes.io/component
    operator: In
    values:
      - scaler
      {{- range untilStep 1 (int .Values.scaler.shards) 1 }}
      - scaler-{{ . }}
      {{- end }}
{{- else -}}
matchLabels: {{- include "kvtide.selectorLabels" . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "kvtide.controllerSelectorLabels" -}}
app.kubernetes.io/name: {{ include "kvtide.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "kvtide.releaseLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "kvtide.labels" -}}
{{ include "kvtide.selectorLabels" . }}
{{ include "kvtide.releaseLabels" . }}
{{- end -}}

{{- define "kvtide.controllerLabels" -}}
{{ include "kvtide.controllerSelectorLabels" . }}
{{ include "kvtide.releaseLabels" . }}
{{- end -}}

{{- define "kvtide.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kvtide.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "kvtide.controllerServiceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (printf "%s-controller" (include "kvtide.fullname" .)) .Values.serviceAccount.controllerName -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.controllerName -}}
{{- end -}}
{{- end -}}

{{- define "kvtide.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* Name of the Secret with the server's certificate; empty without TLS. */ -}}
{{- define "kvtide.tlsSecret" -}}
{{- if .Values.tls.enabled -}}
{{- if .Values.tls.existingSecret -}}
{{- .Values.tls.existingSecret -}}
{{- else if .Values.tls.certManager.issuerRef.name -}}
{{- printf "%s-server-tls" (include "kvtide.fullname" .) -}}
{{- else -}}
{{- fail "tls.enabled needs tls.existingSecret or tls.certManager.issuerRef.name" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
Secret of the controller's side of the connection: ca.crt, and its certificate where it must show
one. Empty without TLS.
*/ -}}
{{- define "kvtide.controllerTlsSecret" -}}
{{- $server := include "kvtide.tlsSecret" . -}}
{{- if and $server .Values.tls.mutual -}}
{{- if .Values.tls.controllerSecret -}}
{{- .Values.tls.controllerSecret -}}
{{- else if .Values.tls.existingSecret -}}
{{- fail "tls.mutual with tls.existingSecret needs tls.controllerSecret: the certificate that the controller shows" -}}
{{- else -}}
{{- printf "%s-controller-tls" (include "kvtide.fullname" .) -}}
{{- end -}}
{{- else -}}
{{- $server -}}
{{- end -}}
{{- end -}}
