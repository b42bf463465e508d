{{/* The variables of the controller that the chart sets. */}}
{{- define "kube-prepull.environment" -}}
{{- $configMaps := .Values.configMaps }}
{{- if ne (include "kube-prepull.managedBy" .) "release" }}
{{- /* It may have been created elsewhere, without the label. */}}
{{- $configMaps = prepend $configMaps (include "kube-prepull.listName" .) | uniq }}
{{- end }}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}
- name: DEPLOYMENT_NAME
  value: {{ include "kube-prepull.fullname" . | quote }}
- name: CONTROLLER_IMAGE
  value: {{ include "kube-prepull.image" . | quote }}
- name: HOLDER_IMAGE
  value: {{ include "kube-prepull.holderImage" . | quote }}
- name: POD_SERVICE_ACCOUNT
  value: {{ include "kube-prepull.podServiceAccount" . | quote }}
- name: CONTROLLER_SERVICE_ACCOUNT
  valueFrom: {fieldRef: {apiVersion: v1, fieldPath: spec.serviceAccountName}}
{{- with include "kube-prepull.policy" . }}
- name: POLICY
  value: {{ . | quote }}
{{- end }}
{{- with $configMaps }}
- name: CONFIG_MAPS
  value: {{ join "," . | quote }}
{{- end }}
- name: PLATFORM
  value: {{ .Values.platform | quote }}
{{- if include "kube-prepull.allNamespaces" . }}
- name: ALL_NAMESPACES
  value: "true"
{{- end }}
- name: NAMESPACED_ONLY
  value: {{ .Values.namespacedOnly | quote }}
{{- if .Values.nodeGate.enabled }}
- name: NODE_GATE_TAINTS
  value: {{ join "," .Values.nodeGate.taints | quote }}
{{- end }}
{{- with .Values.discovery.namespaces }}
- name: DISCOVER_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: METRICS_LISTEN
  value: "0.0.0.0:{{ include "kube-prepull.metricsPortNumber" . }}"
- name: SECURE_METRICS
  value: {{ .Values.metrics.secure | quote }}
{{- if and .Values.metrics.secure .Values.metrics.certSecret }}
- name: METRICS_CERT_DIR
  value: /metrics-cert
{{- end }}
- name: LOG_FORMAT
  value: {{ .Values.log.format | quote }}
- name: LOG_LEVEL
  value: {{ .Values.log.level | quote }}
{{- end }}
