{{/* The pod of one pool. Called with (list . $pool). */}}
{{- define "nexus.mediaPod" -}}
{{- $root := index . 0 -}}
{{- $pool := index . 1 -}}
automountServiceAccountToken: false
terminationGracePeriodSeconds: {{ add $pool.drainSeconds 15 }}
securityContext: {{- include "nexus.podSecurity" 10002 | nindent 2 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pool.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pool.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if eq $pool.mode "job" }}
restartPolicy: Never
{{- end }}
containers:
  - name: media
    image: {{ include "nexus.image" (list $root $pool.image) }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    {{- if eq $pool.mode "job" }}
    # The worker ends when it finds nothing to do, or is told to stop; then it finishes what it has.
    command: [timeout, --preserve-status, --signal=TERM, {{ $pool.jobSeconds | quote }}]
    args: [/opt/nexus/bin/nx-media, run, --idle-exit, "60"]
    {{- else }}
    args: [run]
    {{- end }}
    securityContext: {{- include "nexus.containerSecurity" $root | nindent 6 }}
    env:
      - { name: NEXUS_HOST, value: "http://{{ $root.Release.Name }}-admin:8081" }
      - { name: NEXUS_WORKER_JOBS, value: {{ $pool.jobs | quote }} }
      - { name: NEXUS_WORKER_DRAIN, value: {{ $pool.drainSeconds | quote }} }
      - { name: NEXUS_WORKER_SCRATCH, value: /var/cache/nexus-media/jobs }
      {{- if gt (int $pool.gpu) 0 }}
      - { name: NEXUS_WORKER_OFFERS, value: {{ printf "{\"gpu\": %d}" (int $pool.gpu) | quote }} }
      {{- end }}
      {{- include "nexus.secretVariable" (list $root "NEXUS_WORKER_TOKEN") | nindent 6 }}
      {{- if $pool.mail }}
      {{- include "nexus.secretVariable" (list $root "NEXUS_SMTP_URL") | nindent 6 }}
      {{- end }}
    resources:
      requests:
        {{- toYaml $pool.resources.requests | nindent 8 }}
      limits:
        {{- toYaml $pool.resources.limits | nindent 8 }}
        {{- if gt (int $pool.gpu) 0 }}
        nvidia.com/gpu: {{ $pool.gpu }}
        {{- end }}
    volumeMounts:
      - { name: scratch, mountPath: /var/cache/nexus-media }
      - { name: tmp, mountPath: /tmp }
volumes:
  - name: scratch
    emptyDir: { sizeLimit: {{ $pool.scratchSize }} }
  - name: tmp
    emptyDir: { sizeLimit: 1Gi }
{{- end }}

{{/* How many jobs a pool has to do: waiting and under way. Called with (list . $pool). A job that asks for
something has it behind its kind in the queue's name. */}}
{{- define "nexus.demand" -}}
- type: postgresql
  metadata:
    query: >-
      select coalesce(sum(ready + leased), 0) from platform.queue_demand
      where kind = 'job' and not paused and not retired
      and queue {{ if eq (int (index . 1).gpu) 0 }}not {{ end }}like '%"gpu"%'
    targetQueryValue: {{ (index . 1).jobsPerWorker | quote }}
    activationTargetQueryValue: "0"
  authenticationRef: { name: {{ (index . 0).Release.Name }}-queue-demand }
{{- end }}
