import * as v from 'valibot';

/**
 * The fields of Knative's kinds that our manifests use, from Knative's documentation: an object with any other field is refused, as a
 * misspelt one would be ignored or refused by a cluster. What a field may hold is looked at by the rules.
 * Serving 1.23, Eventing 1.22, eventing-rabbitmq 1.22, eventing-kafka-broker 1.23.
 */
export const knativeSchemas: Readonly<Record<string, v.GenericSchema>> = {
  'serving.knative.dev/v1 Service': serviceSchema(),
  'serving.knative.dev/v1beta1 DomainMapping': domainMappingSchema(),
  'eventing.knative.dev/v1 Broker': brokerSchema(),
  'eventing.knative.dev/v1 Trigger': triggerSchema(),
  'eventing.knative.dev/v1alpha1 RabbitmqBrokerConfig': rabbitmqSchema(),
  'sources.knative.dev/v1 PingSource': pingSourceSchema(),
  'sources.knative.dev/v1 ApiServerSource': apiServerSourceSchema(),
};

/** Kubernetes' own kinds that we use. The tier with the real API server applies them with strict validation of fields. */
export const ownKinds: ReadonlySet<string> = new Set([
  'v1 Namespace',
  'v1 ConfigMap',
  'v1 ServiceAccount',
  'v1 Service',
  'v1 PersistentVolumeClaim',
  'v1 ResourceQuota',
  'v1 LimitRange',
  'apps/v1 Deployment',
  'autoscaling/v2 HorizontalPodAutoscaler',
  'batch/v1 CronJob',
  'batch/v1 Job',
  'policy/v1 PodDisruptionBudget',
  'networking.k8s.io/v1 NetworkPolicy',
  'rbac.authorization.k8s.io/v1 Role',
  'rbac.authorization.k8s.io/v1 RoleBinding',
  'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy',
  'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding',
]);

function object<const Entries extends v.ObjectEntries>(spec: Entries, annotations: readonly string[] = []) {
  return v.strictObject({
    apiVersion: v.string(),
    kind: v.string(),
    metadata: v.strictObject({
      name: v.string(),
      namespace: v.string(),
      labels: v.optional(v.record(v.string(), v.string())),
      annotations: v.optional(v.record(v.picklist(annotations), v.string())),
    }),
    spec: v.strictObject(spec),
  });
}

function reference() {
  return v.strictObject({
    ref: v.strictObject({
      apiVersion: v.string(),
      kind: v.string(),
      name: v.string(),
      namespace: v.optional(v.string()),
    }),
  });
}

function serviceSchema() {
  const scaling = [
    ...['min-scale', 'max-scale', 'scale-down-delay', 'target-burst-capacity'],
    'target-utilization-percentage',
  ];
  return object({
    template: v.strictObject({
      metadata: v.strictObject({
        annotations: v.record(v.picklist(scaling.map((name) => `autoscaling.knative.dev/${name}`)), v.string()),
      }),
      spec: v.strictObject({
        serviceAccountName: v.string(),
        // Serving lets it be false only.
        automountServiceAccountToken: v.optional(v.literal(false)),
        containerConcurrency: v.number(),
        timeoutSeconds: v.number(),
        containers: v.tuple([containerSchema()]),
        volumes: v.array(volumeSchema()),
      }),
    }),
  });
}

function domainMappingSchema() {
  return object({
    ref: v.strictObject({ apiVersion: v.string(), kind: v.literal('Service'), name: v.string() }),
    tls: v.optional(v.strictObject({ secretName: v.string() })),
  });
}

function containerSchema() {
  const probe = v.strictObject({
    httpGet: v.strictObject({ path: v.string() }),
    periodSeconds: v.optional(v.number()),
  });
  return v.strictObject({
    name: v.string(),
    image: v.string(),
    ports: v.tuple([v.strictObject({ containerPort: v.number() })]),
    envFrom: v.array(v.strictObject({ configMapRef: v.strictObject({ name: v.string() }) })),
    env: v.array(v.strictObject({ name: v.string(), value: v.string() })),
    readinessProbe: probe,
    livenessProbe: probe,
    resources: v.strictObject({
      requests: v.strictObject({ cpu: v.string(), memory: v.string() }),
      limits: v.strictObject({ cpu: v.optional(v.string()), memory: v.string() }),
    }),
    securityContext: v.strictObject({
      runAsNonRoot: v.boolean(),
      runAsUser: v.number(),
      allowPrivilegeEscalation: v.boolean(),
      readOnlyRootFilesystem: v.boolean(),
      capabilities: v.strictObject({ drop: v.array(v.string()) }),
      seccompProfile: v.strictObject({ type: v.string() }),
    }),
    volumeMounts: v.array(
      v.strictObject({ name: v.string(), mountPath: v.string(), readOnly: v.optional(v.boolean()) }),
    ),
  });
}

/** Volumes that Serving allows, and a claim, which an installation must allow (the dead letter spool says so). */
function volumeSchema() {
  return v.union([
    v.strictObject({
      name: v.string(),
      secret: v.strictObject({ secretName: v.string(), optional: v.optional(v.boolean()) }),
    }),
    v.strictObject({ name: v.string(), emptyDir: v.strictObject({}) }),
    v.strictObject({ name: v.string(), persistentVolumeClaim: v.strictObject({ claimName: v.string() }) }),
  ]);
}

function brokerSchema() {
  const annotations = ['eventing.knative.dev/broker.class', 'messaging.knative.dev/async-handler'];
  const config = v.strictObject({ apiVersion: v.string(), kind: v.string(), name: v.string(), namespace: v.string() });
  return v.union([
    object({ config }, annotations),
    // base: an overlay says which class
    v.strictObject({
      apiVersion: v.string(),
      kind: v.string(),
      metadata: v.strictObject({ name: v.string(), namespace: v.string() }),
    }),
  ]);
}

function triggerSchema() {
  return object(
    {
      broker: v.string(),
      filter: v.strictObject({ attributes: v.record(v.string(), v.string()) }),
      subscriber: reference(),
      delivery: v.strictObject({
        retry: v.number(),
        backoffPolicy: v.string(),
        backoffDelay: v.string(),
        timeout: v.string(),
        deadLetterSink: reference(),
      }),
    },
    ['rabbitmq.eventing.knative.dev/parallelism'],
  );
}

/** A cluster that the operator made has a name, one outside of the cluster a Secret: never both. */
function rabbitmqSchema() {
  return object({
    rabbitmqClusterReference: v.union([
      v.strictObject({ name: v.string(), namespace: v.string() }),
      v.strictObject({ connectionSecret: v.strictObject({ name: v.string() }) }),
    ]),
    queueType: v.picklist(['quorum', 'classic']),
    vhost: v.optional(v.string()),
  });
}

function pingSourceSchema() {
  return object({ schedule: v.string(), contentType: v.string(), data: v.string(), sink: reference() });
}

function apiServerSourceSchema() {
  return object({
    serviceAccountName: v.string(),
    mode: v.string(),
    resources: v.array(
      v.strictObject({
        apiVersion: v.string(),
        kind: v.string(),
        selector: v.strictObject({ matchLabels: v.record(v.string(), v.string()) }),
      }),
    ),
    sink: reference(),
  });
}
