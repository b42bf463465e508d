{{/* Converts values to the list's data in a ConfigMap. */}}

{{/*
JSON of a value that is YAML or a JSON string. kubernetes-image-puller's chart inserts strings between double quotes without
escaping, so its users escape the quotes in them. Such strings are unescaped the way YAML does it there.
*/}}
{{- define "kube-prepull.json" -}}
{{- if not (kindIs "string" .) -}}
{{ toJson . }}
{{- else if regexMatch "^[^\"]*\\\\\"" . -}}
{{ get (printf "text: \"%s\"" . | fromYaml) "text" }}
{{- else -}}
{{ . }}
{{- end }}
{{- end }}

{{/* Names separated by ";", from such a string, a list of names, or a list of objects with a name. */}}
{{- define "kube-prepull.names" -}}
{{- if kindIs "slice" . }}
{{- $names := list }}
{{- range . }}
{{- if kindIs "map" . }}{{ $names = append $names .name }}{{ else }}{{ $names = append $names . }}{{ end }}
{{- end }}
{{- join ";" $names }}
{{- else }}
{{- . }}
{{- end }}
{{- end }}

{{- define "kube-prepull.images" -}}
{{- if kindIs "slice" . }}
{{- range . }}
{{ .name }}={{ .image }};
{{- end }}
{{- else }}
{{- . }}
{{- end }}
{{- end }}

{{/* Numbers are written without an exponent, booleans as words. */}}
{{- define "kube-prepull.number" -}}
{{ kindIs "string" . | ternary . (toJson .) }}
{{- end }}

{{- define "kube-prepull.listData" -}}
{{- $list := .Values.configMap }}
{{- if and $list.images $list.imagesYaml }}
{{- fail "configMap.images and configMap.imagesYaml are two formats of one list: set only one of them" }}
{{- end }}
{{- if $list.imagesYaml }}
images.yaml: {{ kindIs "string" $list.imagesYaml | ternary $list.imagesYaml (toYaml $list.imagesYaml) | toJson }}
{{- else }}
{{- $data := dict
  "IMAGES" (include "kube-prepull.images" $list.images | trimPrefix "\n")
  "DAEMONSET_NAME" (include "kube-prepull.fullname" .)
  "NAMESPACE" .Release.Namespace
  "CACHING_INTERVAL_HOURS" (include "kube-prepull.number" $list.cachingIntervalHours)
  "CACHING_MEMORY_REQUEST" (include "kube-prepull.number" $list.cachingMemoryRequest)
  "CACHING_MEMORY_LIMIT" (include "kube-prepull.number" $list.cachingMemoryLimit)
  "CACHING_CPU_REQUEST" (include "kube-prepull.number" $list.cachingCpuRequest)
  "CACHING_CPU_LIMIT" (include "kube-prepull.number" $list.cachingCpuLimit)
  "CACHING_EPHEMERAL_STORAGE_REQUEST" (include "kube-prepull.number" $list.cachingEphemeralStorageRequest)
  "CACHING_EPHEMERAL_STORAGE_LIMIT" (include "kube-prepull.number" $list.cachingEphemeralStorageLimit)
  "DAEMONSET_ANNOTATIONS" (include "kube-prepull.json" $list.daemonsetAnnotations)
  "NODE_SELECTOR" (include "kube-prepull.json" $list.nodeSelector)
  "IMAGE_PULL_SECRETS" (include "kube-prepull.names" $list.imagePullSecrets)
  "AFFINITY" (include "kube-prepull.json" $list.affinity)
  "TOLERATIONS" (include "kube-prepull.json" $list.tolerations)
  "ARCHITECTURES" (include "kube-prepull.names" $list.architectures)
  "REFRESH_SCHEDULE" $list.refreshSchedule
  "REFRESH_TIME_ZONE" $list.refreshTimeZone
  "REFRESH_MODE" $list.refreshMode
  "PULL_RATE" (include "kube-prepull.number" $list.pullRate)
  "PRIORITY_CLASS_NAME" ($list.priorityClassName | default (.Values.priorityClass.create | ternary .Values.priorityClass.name ""))
  "RUNTIME_CLASS_NAME" $list.runtimeClassName
  "HOST_USERS" (include "kube-prepull.number" $list.hostUsers)
  "SERVICE_ACCOUNT_NAME" $list.serviceAccountName
  "POD_LABELS" (include "kube-prepull.json" $list.podLabels)
  "POD_ANNOTATIONS" (include "kube-prepull.json" $list.podAnnotations)
  "IMAGES_PER_POD" (include "kube-prepull.number" $list.imagesPerPod)
  "PARALLEL_PULLS" (include "kube-prepull.number" $list.parallelPulls)
  "IMAGE_CACHE" (include "kube-prepull.number" $list.imageCache)
  "IMAGE_CACHE_PLATFORMS" (include "kube-prepull.names" $list.imageCachePlatforms)
  "IMAGE_CACHE_SIZE" (include "kube-prepull.number" $list.imageCacheSize)
  "IMAGE_CACHE_RETENTION_DAYS" (include "kube-prepull.number" $list.imageCacheRetentionDays)
  "IMAGE_CACHE_ANNOTATIONS" (include "kube-prepull.json" $list.imageCacheAnnotations)
  "IMAGE_CACHE_PULL_SECRETS" (include "kube-prepull.names" $list.imageCachePullSecrets)
  "IMAGE_CACHE_KEEP_PREVIOUS_FOR" $list.imageCacheKeepPreviousFor
  "NODE_GATE_TAINT" $list.nodeGateTaint
  "NODE_GATE_CONDITION" (include "kube-prepull.number" $list.nodeGateCondition)
  "NODE_GATE_WAIT_FOR" (include "kube-prepull.names" $list.nodeGateWaitFor)
  "NODE_GATE_TIMEOUT" $list.nodeGateTimeout
}}
{{- range $key, $value := $data }}
{{- if or (not (has $value (list "" "{}" "[]"))) (eq $key "IMAGES") }}
{{ $key }}: {{ $value | toJson }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
