{{- define "metasrv.name" -}}
{{- if contains "metasrv" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-metasrv{{ end }}
{{- end }}

{{- define "metasrv.selector" -}}
app.kubernetes.io/name: metasrv
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "metasrv.labels" -}}
{{ include "metasrv.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "metasrv.probe" -}}
{{- $page := index . 0 }}{{ $values := (index . 1).Values -}}
{{- if eq $values.probe "command" -}}
exec:
  command: [metasrv, health, --url, "http://127.0.0.1:{{ $values.port }}{{ $page }}"]
{{- else -}}
httpGet:
  path: {{ $page }}
  port: locks
  scheme: {{ $values.probe }}
{{- end }}
{{- end }}
