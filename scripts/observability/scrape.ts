import * as v from 'valibot';
import { identityOf, type Manifest } from '#scripts/checks/kustomize.ts';

/** Pods as Prometheus finds them. */
export type ScrapedPod = {
  /** For messages. */
  of: string;
  namespace: string;
  labels: Readonly<Record<string, string>>;
  /** Numbers by name. */
  ports: Readonly<Record<string, number>>;
  /** Does it answer `/metrics`? */
  hasNumbers: boolean;
};

const selector = v.strictObject({
  matchLabels: v.optional(v.record(v.string(), v.string()), {}),
  matchExpressions: v.optional(
    v.array(
      v.strictObject({
        key: v.string(),
        operator: v.picklist(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: v.optional(v.array(v.string()), []),
      }),
    ),
    [],
  ),
});

/** The fields of a PodMonitor that ours uses. */
const podMonitor = v.looseObject({
  spec: v.strictObject({
    namespaceSelector: v.optional(v.strictObject({ matchNames: v.array(v.string()) })),
    selector,
    podMetricsEndpoints: v.pipe(
      v.array(
        v.strictObject({
          port: v.string(),
          path: v.literal('/metrics'),
          interval: v.string(),
          scrapeTimeout: v.string(),
        }),
      ),
      v.minLength(1),
    ),
  }),
});

const policy = v.looseObject({
  spec: v.looseObject({
    podSelector: selector,
    ingress: v.optional(
      v.array(
        v.looseObject({
          from: v.optional(v.array(v.looseObject({ namespaceSelector: v.optional(selector) })), []),
          ports: v.optional(v.array(v.looseObject({ port: v.union([v.number(), v.string()]) })), []),
        }),
      ),
      [],
    ),
  }),
});

const container = v.looseObject({
  ports: v.optional(v.array(v.looseObject({ containerPort: v.number(), name: v.optional(v.string()) })), []),
});
const template = v.looseObject({
  metadata: v.optional(v.looseObject({ labels: v.optional(v.record(v.string(), v.string()), {}) })),
  spec: v.looseObject({ containers: v.array(container) }),
});
const owner = v.looseObject({ spec: v.looseObject({ template }) });

/** Where Prometheus runs, as the base lets it in. */
export const monitoringNamespace = 'monitoring';

/** The pods that a build's Knative Services and Deployments make, as Serving and Kubernetes make them. */
export function scrapedPods(objects: readonly Manifest[]): ScrapedPod[] {
  return objects.flatMap((object): ScrapedPod[] => {
    const isFunction = object.apiVersion.startsWith('serving.knative.dev/') && object.kind === 'Service';
    if (!isFunction && object.kind !== 'Deployment') return [];
    const { metadata, spec } = v.parse(owner, object).spec.template;
    const ports = spec.containers.flatMap((one) => one.ports);
    const { name, namespace = 'default' } = object.metadata;
    const common = { of: `${object.kind} ${name}`, namespace, hasNumbers: isFunction };
    if (!isFunction) {
      const named = ports.flatMap((one) => (one.name === undefined ? [] : [[one.name, one.containerPort] as const]));
      return [{ ...common, labels: metadata?.labels ?? {}, ports: Object.fromEntries(named) }];
    }
    // Serving's own names; the port of a function is the one its container has
    const labels = { ...metadata?.labels, 'serving.knative.dev/service': name };
    return [{ ...common, labels, ports: { 'user-port': ports[0]?.containerPort ?? 8080, 'http-usermetric': 9091 } }];
  });
}

/**
 * What is wrong with the scraping of a build by PodMonitors: pods with numbers that none or several take, pods without
 * numbers that one takes, ports that the pods do not have or that no NetworkPolicy opens. Pure.
 */
export function scrapeMistakes(watching: readonly Manifest[], watched: readonly Manifest[]): string[] {
  const pods = scrapedPods(watched);
  const monitors = monitorsAmong(watching, pods);
  if (monitors.length === 0) return ['There is no PodMonitor: nothing is scraped.'];
  return [
    ...monitors.filter(({ found }) => found.length === 0).map(({ name }) => `${name} selects no pod.`),
    ...pods.flatMap((pod) => {
      const by = monitors.filter(({ found }) => found.includes(pod));
      if (!pod.hasNumbers) return by.map(({ name }) => `${name} takes the pods of ${pod.of}, which have no /metrics.`);
      if (by.length !== 1) return [`The pods of ${pod.of} are taken by ${by.length} PodMonitors, not by one.`];
      return by.flatMap(({ name, ports }) => ports.flatMap((port) => portMistakes(pod, { port, name, watched })));
    }),
  ];
}

/** What PodMonitors find, as `namespace of:port`. Pure. */
export function monitorTargets(watching: readonly Manifest[], watched: readonly Manifest[]): string[] {
  return monitorsAmong(watching, scrapedPods(watched)).flatMap(({ found, ports }) =>
    found.flatMap((pod) => ports.map((port) => targetOf(pod, port))),
  );
}

/** The PodMonitors, with the pods that each selects. */
function monitorsAmong(objects: readonly Manifest[], pods: readonly ScrapedPod[]) {
  return objects
    .filter(({ kind }) => kind === 'PodMonitor')
    .map((monitor) => {
      const { namespaceSelector, selector: wanted, podMetricsEndpoints } = v.parse(podMonitor, monitor).spec;
      const namespaces = namespaceSelector?.matchNames ?? [monitor.metadata.namespace ?? 'default'];
      const found = pods.filter((pod) => namespaces.includes(pod.namespace) && isSelected(pod.labels, wanted));
      return { name: identityOf(monitor), found, ports: podMetricsEndpoints.map(({ port }) => port) };
    });
}

const targetOf = (pod: ScrapedPod, port: string) => `${pod.namespace} ${pod.of}:${port}`;

function portMistakes(
  pod: ScrapedPod,
  { port, name, watched }: { port: string; name: string; watched: readonly Manifest[] },
): string[] {
  const number = pod.ports[port];
  if (number === undefined) {
    const known = Object.keys(pod.ports).join(', ');
    return [`${name} asks for port ${port}; the pods of ${pod.of} have ${known}.`];
  }
  if (isOpen(pod, number, watched)) return [];
  return [`No NetworkPolicy lets namespace ${monitoringNamespace} reach port ${number} of the pods of ${pod.of}.`];
}

/** Does a policy let Prometheus in? Where none selects the pod, everybody may come. */
function isOpen(pod: ScrapedPod, port: number, objects: readonly Manifest[]): boolean {
  const policies = objects
    .filter(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.namespace === pod.namespace)
    .map((object) => v.parse(policy, object).spec)
    .filter(({ podSelector }) => isSelected(pod.labels, podSelector));
  const prometheus = { 'kubernetes.io/metadata.name': monitoringNamespace };
  const rules = policies.flatMap(({ ingress }) => ingress);
  return (
    policies.length === 0 ||
    rules.some(
      ({ from, ports }) =>
        from.some(({ namespaceSelector: one }) => one !== undefined && isSelected(prometheus, one)) &&
        ports.some((one) => one.port === port),
    )
  );
}

function isSelected(labels: Readonly<Record<string, string>>, wanted: v.InferOutput<typeof selector>): boolean {
  const isMet = ({ key, operator, values }: (typeof wanted.matchExpressions)[number]) => {
    const value = labels[key];
    switch (operator) {
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
    }
  };
  return (
    Object.entries(wanted.matchLabels).every(([key, value]) => labels[key] === value) &&
    wanted.matchExpressions.every(isMet)
  );
}

const plainConfig = v.looseObject({
  scrape_configs: v.array(
    v.looseObject({
      job_name: v.string(),
      kubernetes_sd_configs: v.array(
        v.strictObject({ role: v.literal('pod'), namespaces: v.strictObject({ names: v.array(v.string()) }) }),
      ),
      relabel_configs: v.array(
        v.strictObject({
          source_labels: v.array(v.string()),
          regex: v.optional(v.string(), '.*'),
          action: v.optional(v.picklist(['keep', 'drop', 'replace']), 'replace'),
          target_label: v.optional(v.string()),
        }),
      ),
    }),
  ),
});

/** What a plain Prometheus finds by its own configuration, in the words of `monitorTargets`. Pure. */
export function plainTargets(config: unknown, watched: readonly Manifest[]): string[] {
  return v.parse(plainConfig, config).scrape_configs.flatMap(({ kubernetes_sd_configs, relabel_configs }) => {
    const namespaces = kubernetes_sd_configs.flatMap(({ namespaces: { names } }) => names);
    const pods = scrapedPods(watched).filter(({ namespace }) => namespaces.includes(namespace));
    return pods.flatMap((pod) => {
      const ports = Object.keys(pod.ports).filter((port) => isKept(metaLabels(pod, port), relabel_configs));
      return ports.map((port) => targetOf(pod, port));
    });
  });
}

type Relabelling = v.InferOutput<typeof plainConfig>['scrape_configs'][number]['relabel_configs'];

function isKept(labels: Readonly<Record<string, string>>, rules: Relabelling): boolean {
  return rules.every(({ source_labels, regex, action }) => {
    const text = source_labels.map((label) => labels[label] ?? '').join(';');
    const isMatch = new RegExp(`^(?:${regex})$`).test(text);
    return action === 'keep' ? isMatch : action === 'drop' ? !isMatch : true;
  });
}

/** As Prometheus' discovery names them. */
function metaLabels(pod: ScrapedPod, port: string): Record<string, string> {
  const present = Object.keys(pod.labels).map((label) => [
    `__meta_kubernetes_pod_labelpresent_${label.replaceAll(/[^a-zA-Z0-9_]/g, '_')}`,
    'true',
  ]);
  return {
    ...(Object.fromEntries(present) as Record<string, string>),
    __meta_kubernetes_pod_container_port_name: port,
    __meta_kubernetes_pod_phase: 'Running',
  };
}
