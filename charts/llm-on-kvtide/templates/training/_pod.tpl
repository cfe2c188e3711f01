{{- /* The pod of batch work, the same under a Deployment and a Job. */ -}}
{{- define "llm.batchPod" -}}
{{- with .Values.training -}}
priorityClassName: {{ $.Values.priorityClasses.training.name }}
automountServiceAccountToken: false
enableServiceLinks: false
# From SIGTERM, when the GPUs are wanted back, to SIGKILL.
terminationGracePeriodSeconds: {{ int .checkpointGraceSeconds }}
securityContext:
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: worker
    image: {{ printf "%s:%s" .image.repository .image.tag }}
    imagePullPolicy: {{ .image.pullPolicy }}
    command: {{- toYaml .command | nindent 6 }}
    {{- with .args }}
    args: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .extraEnv }}
    env: {{- toYaml . | nindent 6 }}
    {{- end }}
    resources:
      requests:
        {{- toYaml .resources | nindent 8 }}
        {{ $.Values.gpu.resource }}: {{ int .unitsPerWorker }}
      limits:
        memory: {{ .resources.memory }}
        {{ $.Values.gpu.resource }}: {{ int .unitsPerWorker }}
    securityContext:
      allowPrivilegeEscalation: false
      capabilities:
        drop: [ALL]
    volumeMounts:
      - {name: shm, mountPath: /dev/shm}
      {{- if .checkpointClaim }}
      - {name: checkpoints, mountPath: /checkpoints}
      {{- end }}
volumes:
  - name: shm
    emptyDir: {medium: Memory, sizeLimit: 2Gi}
  {{- with .checkpointClaim }}
  - name: checkpoints
    persistentVolumeClaim:
      claimName: {{ . }}
  {{- end }}
{{- with $.Values.gpu.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
tolerations: {{- include "llm.toleration" $ | nindent 2 }}
{{- end }}
{{- end -}}
