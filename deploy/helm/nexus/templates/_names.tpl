{{/* Labels that never change: selectors are made of them. Called with (list . "host"). */}}
{{- define "nexus.selector" -}}
app.kubernetes.io/name: nexus
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "nexus.labels" -}}
{{ include "nexus.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{/* Called with (list . "media"). */}}
{{- define "nexus.image" -}}
{{ (index . 0).Values.image.registry }}/{{ index . 1 }}:{{ (index . 0).Values.image.tag | default (index . 0).Chart.AppVersion }}
{{- end }}

{{/* One variable from the secret. Called with (list . "NAME"). */}}
{{- define "nexus.secretVariable" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef: { name: {{ (index . 0).Values.secret.name }}, key: {{ index . 1 }} }
{{- end }}

{{/* Where objects are. */}}
{{- define "nexus.bucketVariables" -}}
- { name: NEXUS_S3_BUCKET, value: {{ .Values.objects.bucket | quote }} }
- { name: NEXUS_S3_REGION, value: {{ .Values.objects.region | quote }} }
{{- with .Values.objects.endpoint }}
- { name: NEXUS_S3_ENDPOINT, value: {{ . | quote }} }
{{- end }}
{{- end }}

{{/* What no container of ours needs. */}}
{{- define "nexus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Called with the number of the user. */}}
{{- define "nexus.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile: { type: RuntimeDefault }
{{- end }}
