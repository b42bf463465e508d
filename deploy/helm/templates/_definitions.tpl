{{/* Shared definitions. */}}

{{/*
The name of the Deployment, and the beginning of the names of most other objects. Some of these end with up to nine more characters, and
labels may have 63.
*/}}
{{- define "kube-prepull.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if .Values.nameOverride -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{ contains .Values.nameOverride $release | ternary $release (printf "%s-%s" $release .Values.nameOverride) | trunc 54 | trimSuffix "-" }}
{{- else -}}
{{ .Values.deploymentName }}
{{- end }}
{{- end }}

{{- define "kube-prepull.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "kube-prepull.fullname" .) }}
{{- end }}

{{/* The ConfigMap with the chart's own list. */}}
{{- define "kube-prepull.listName" -}}
{{ .Values.configMap.name | default (include "kube-prepull.fullname" .) }}
{{- end }}

{{- define "kube-prepull.labels" -}}
{{- $labels := dict
  "app" (include "kube-prepull.fullname" .)
  "app.kubernetes.io/name" "kube-prepull"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version)
}}
{{- merge $labels .Values.commonLabels | toYaml }}
{{- end }}

{{/*
The metadata of an object. Keys of the dict: root; name; clusterWide, for cluster-scoped objects; namespace, if it is not the
release's; labels and annotations, which take precedence over the common ones.
*/}}
{{- define "kube-prepull.metadata" -}}
{{- $labels := include "kube-prepull.labels" .root | fromYaml }}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.commonAnnotations -}}
name: {{ .name | quote }}
{{- if not .clusterWide }}
namespace: {{ .namespace | default .root.Release.Namespace | quote }}
{{- end }}
labels: {{- merge (dict) (.labels | default dict) $labels | toYaml | nindent 2 }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Whether the image is that of kubernetes-image-puller, from one of its values files. It cannot be used here. */}}
{{- define "kube-prepull.foreignImage" -}}
{{- if regexMatch "^quay\\.io/[^/]+/kubernetes-image-puller$" .Values.image.repository }}true{{ end }}
{{- end }}

{{/*
An image from global.imageRegistry, if that is set, instead of the registry that its reference begins with: the part before the first slash,
if that has a dot or a port. Keys of the dict: root, reference.
*/}}
{{- define "kube-prepull.fromRegistry" -}}
{{- with (.root.Values.global).imageRegistry -}}
{{ trimSuffix "/" . }}/{{ regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $.reference "" }}
{{- else -}}
{{ .reference }}
{{- end }}
{{- end }}

{{- define "kube-prepull.image" -}}
{{- $reference := printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion | toString) }}
{{- if include "kube-prepull.foreignImage" . }}
{{- $reference = printf "kube-prepull:%s" .Chart.AppVersion }}
{{- else if .Values.image.digest }}
{{- $reference = printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- end }}
{{- include "kube-prepull.fromRegistry" (dict "root" . "reference" $reference) }}
{{- end }}

{{- define "kube-prepull.holderImage" -}}
{{- with .Values.holderImage }}{{ include "kube-prepull.fromRegistry" (dict "root" $ "reference" .) }}{{ end }}
{{- end }}

{{- define "kube-prepull.podServiceAccount" -}}
{{ .Values.podServiceAccount.name | default (printf "%s-holder" (include "kube-prepull.fullname" .)) }}
{{- end }}

{{/* The names of cluster-scoped objects include the namespace. */}}
{{- define "kube-prepull.clusterName" -}}
kube-prepull:{{ .Release.Namespace }}:{{ include "kube-prepull.fullname" . }}
{{- end }}

{{/* The port with metrics: https with metrics.secure, because service meshes go by the name of a port. */}}
{{- define "kube-prepull.metricsPort" -}}
{{- if .Values.metrics.secure }}https{{ else }}http{{ end }}
{{- end }}

{{- define "kube-prepull.metricsPortNumber" -}}
{{- if .Values.metrics.secure }}8443{{ else }}8080{{ end }}
{{- end }}

{{- define "kube-prepull.metricsContainerPort" -}}
{name: {{ include "kube-prepull.metricsPort" . }}, containerPort: {{ include "kube-prepull.metricsPortNumber" . }}, protocol: TCP}
{{- end }}

{{- define "kube-prepull.metricsReviewName" -}}
{{ include "kube-prepull.clusterName" . }}:metrics-review
{{- end }}

{{- define "kube-prepull.metricsReaderName" -}}
{{ include "kube-prepull.clusterName" . }}:metrics-reader
{{- end }}

{{- define "kube-prepull.imageCacheName" -}}
{{ include "kube-prepull.clusterName" . }}:imagecaches
{{- end }}

{{- define "kube-prepull.nodeGateName" -}}
{{ include "kube-prepull.clusterName" . }}:node-gate
{{- end }}

{{- define "kube-prepull.discoveryName" -}}
{{ include "kube-prepull.clusterName" . }}:discovery
{{- end }}

{{/* Whether lists may be in all namespaces. */}}
{{- define "kube-prepull.allNamespaces" -}}
{{- if eq (.Values.scope | default "namespace") "cluster" }}true{{ end }}
{{- end }}

{{/* What the controller does where lists are. */}}
{{- define "kube-prepull.listRules" -}}
# The lists, and their state in labels and annotations.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, patch]
# Generations and tag checks; `update` restores what others changed.
- apiGroups: [apps]
  resources: [daemonsets]
  verbs: [get, list, watch, create, update, patch, delete]
# The last accepted versions of each list.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list, watch, create, patch, delete]
# The state of the pods; `create` is used for dry runs only, to find out why a pod is refused.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, create, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Services that select pods of lists are reported. Without this right, they are not.
- apiGroups: [""]
  resources: [services]
  verbs: [list]
{{- end }}

{{/* Whether lists may discover images in all namespaces. */}}
{{- define "kube-prepull.discoversEverywhere" -}}
{{- if has "*" .Values.discovery.namespaces }}true{{ end }}
{{- end }}

{{- define "kube-prepull.discoveryRules" -}}
# The images that pod templates name.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list, watch]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [list, watch]
{{- end }}

{{/*
Tolerations of the release's own pods: those of the values, and of the taints that gates remove. If every node waits, the controller
has to start on one of them, or none would be freed.
*/}}
{{- define "kube-prepull.tolerations" -}}
{{- $tolerations := .Values.tolerations | default list }}
{{- if .Values.nodeGate.enabled }}
{{- range .Values.nodeGate.taints }}
{{- $tolerations = append $tolerations (dict "key" . "operator" "Exists") }}
{{- end }}
{{- end }}
{{- with $tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The default in kubernetes-image-puller's chart is {}. */}}
{{- define "kube-prepull.priorityClassName" -}}
{{- if kindIs "string" .Values.priorityClassName }}{{ .Values.priorityClassName }}{{ end }}
{{- end }}

{{/* Secrets are given as their names, or as pods name them: {name: NAME}. */}}
{{- define "kube-prepull.pullSecrets" -}}
{{- $names := list }}
{{- range concat ((.Values.global).imagePullSecrets | default list) (.Values.imagePullSecrets | default list) }}
{{- if kindIs "map" . }}{{ $names = append $names .name }}{{ else }}{{ $names = append $names . }}{{ end }}
{{- end }}
{{- with uniq $names }}
imagePullSecrets:
{{- range . }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The network of the pods that talk to the API server. A pod in the network of its node has the cluster's DNS only with a policy for that. */}}
{{- define "kube-prepull.podNetwork" -}}
{{- if .Values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- with .Values.dnsPolicy | default (eq (toString .Values.hostNetwork) "true" | ternary "ClusterFirstWithHostNet" "") }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The security context of the pods. An upgrade that reuses the values of an older chart has none, and must not lose it. */}}
{{- define "kube-prepull.podSecurityContext" -}}
{{- $default := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- with hasKey .Values "podSecurityContext" | ternary .Values.podSecurityContext $default }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* Who manages the list: release, kubectl or none. */}}
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

{{- /* The policy as JSON; empty for the default. Whoever sets the ServiceAccount of the chart's own list allows it. */}}
{{- define "kube-prepull.policy" -}}
{{- $policy := deepCopy .Values.policy }}
{{- with .Values.configMap.serviceAccountName }}
{{- $policy = set $policy "serviceAccounts" (append (default list $policy.serviceAccounts) . | uniq) }}
{{- end }}
{{- with $policy }}{{ toJson . }}{{ end }}
{{- end }}
