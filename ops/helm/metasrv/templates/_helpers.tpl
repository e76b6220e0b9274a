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
