{{/* Names and texts that several objects share. */}}

{{- define "kube-prepull.labels" -}}
{{- $labels := dict
  "app" .Values.deploymentName
  "app.kubernetes.io/name" "kube-prepull"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version)
}}
{{- merge $labels .Values.commonLabels | toYaml }}
{{- end }}

{{/*
The metadata of an object, from a dict: root; name; clusterWide, for objects without a namespace; labels and annotations
of the object's own, which win.
*/}}
{{- define "kube-prepull.metadata" -}}
{{- $labels := include "kube-prepull.labels" .root | fromYaml }}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.commonAnnotations -}}
name: {{ .name | quote }}
{{- if not .clusterWide }}
namespace: {{ .root.Release.Namespace | quote }}
{{- end }}
labels: {{- merge (dict) (.labels | default dict) $labels | toYaml | nindent 2 }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A values file of kubernetes-image-puller names its image, which would not know what to do here. */}}
{{- define "kube-prepull.foreignImage" -}}
{{- if regexMatch "^quay\\.io/[^/]+/kubernetes-image-puller$" .Values.image.repository }}true{{ end }}
{{- end }}

{{- define "kube-prepull.image" -}}
{{- if include "kube-prepull.foreignImage" . -}}
kube-prepull:{{ .Chart.AppVersion }}
{{- else if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "kube-prepull.podServiceAccount" -}}
{{ .Values.podServiceAccount.name | default (printf "%s-holder" .Values.deploymentName) }}
{{- end }}

{{/* Objects that belong to the cluster as a whole are named after the namespace too. */}}
{{- define "kube-prepull.clusterName" -}}
kube-prepull:{{ .Release.Namespace }}:{{ .Values.deploymentName }}
{{- end }}

{{- define "kube-prepull.imageCacheName" -}}
{{ include "kube-prepull.clusterName" . }}:imagecaches
{{- end }}

{{/* kubernetes-image-puller's chart has {} where there is no PriorityClass. */}}
{{- define "kube-prepull.priorityClassName" -}}
{{- if kindIs "string" .Values.priorityClassName }}{{ .Values.priorityClassName }}{{ end }}
{{- end }}

{{- define "kube-prepull.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Who writes the list: release, kubectl or none. */}}
{{- define "kube-prepull.managedBy" -}}
{{- with .Values.configMap }}
{{- if .managedBy }}
{{- .managedBy }}
{{- else if or .images .imagesYaml -}}
release
{{- else -}}
kubectl
{{- end }}
{{- end }}
{{- end }}
