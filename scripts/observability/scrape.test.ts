import { expect, it } from 'vitest';
import type { Manifest } from '#scripts/checks/kustomize.ts';
import { monitorTargets, plainTargets, scrapeMistakes } from './scrape.ts';

const namespace = 'odoo-fleet';
const service = (name: string, ports: object[] = [{ containerPort: 8080 }]): Manifest =>
  ({
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { template: { spec: { containers: [{ name, ports }] } } },
  }) as Manifest;
const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'page', namespace },
  spec: {
    template: {
      metadata: { labels: { app: 'page' } },
      spec: { containers: [{ ports: [{ containerPort: 80, name: 'user-port' }] }] },
    },
  },
} as Manifest;
const ofFunctions = { matchExpressions: [{ key: 'serving.knative.dev/service', operator: 'Exists' }] };
const endpoint = { port: 'user-port', path: '/metrics', interval: '15s', scrapeTimeout: '5s' };
const monitor = (spec: object = {}, name = 'fleet'): Manifest =>
  ({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    metadata: { name, namespace },
    spec: { selector: ofFunctions, podMetricsEndpoints: [endpoint], ...spec },
  }) as Manifest;
const policy = (name: string, ingress: object[]): Manifest =>
  ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec: { podSelector: {}, policyTypes: ['Ingress'], ingress },
  }) as Manifest;
const fromMonitoring = (port: number) => ({
  from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
  ports: [{ protocol: 'TCP', port }],
});
const fleet = [service('stop'), service('start'), deployment];

it('finds nothing wrong when each function is scraped once, and nothing else is', () => {
  expect(scrapeMistakes([monitor()], fleet)).toEqual([]);
  expect(monitorTargets([monitor()], fleet)).toEqual([
    'odoo-fleet Service stop:user-port',
    'odoo-fleet Service start:user-port',
  ]);
});

it.each([
  ['nothing', [], /There is no PodMonitor/],
  ['another namespace', [monitor({ namespaceSelector: { matchNames: ['odoo-tenants'] } })], /selects no pod/],
  [
    'one function only',
    [monitor({ selector: { matchLabels: { 'serving.knative.dev/service': 'stop' } } })],
    /pods of Service start are taken by 0 PodMonitors/,
  ],
  ['functions twice', [monitor(), monitor({}, 'again')], /pods of Service stop are taken by 2 PodMonitors/],
  ['everything', [monitor({ selector: {} })], /takes the pods of Deployment page, which have no \/metrics/],
  [
    'a port that Serving does not name so',
    [monitor({ podMetricsEndpoints: [{ ...endpoint, port: 'http' }] })],
    /asks for port http; the pods of Service stop have user-port/,
  ],
])('says so when %s is scraped', (_what, watching, message) => {
  expect(scrapeMistakes(watching, fleet).join('\n')).toMatch(message);
});

it.each([
  ['nobody may come', [policy('deny', [])]],
  ['the monitoring may come to another port', [policy('deny', []), policy('open', [fromMonitoring(9091)])]],
  ['another namespace may come', [policy('open', [{ ...fromMonitoring(8080), from: [{ podSelector: {} }] }])]],
])('says so when, by the policies, %s', (_what, policies) => {
  expect(scrapeMistakes([monitor()], [service('stop'), ...policies])).toEqual([
    'No NetworkPolicy lets namespace monitoring reach port 8080 of the pods of Service stop.',
  ]);
});

it('takes one policy that opens the port of the container among others that do not', () => {
  const policies = [policy('deny', []), policy('open', [fromMonitoring(8081)])];
  expect(scrapeMistakes([monitor()], [service('stop', [{ containerPort: 8081 }]), ...policies])).toEqual([]);
});

it('knows what a plain Prometheus keeps by its relabelling', () => {
  const label = '__meta_kubernetes_pod_labelpresent_serving_knative_dev_service';
  const byLabel = { source_labels: [label], regex: 'true', action: 'keep' };
  const byPort = { source_labels: ['__meta_kubernetes_pod_container_port_name'], regex: 'user-.*', action: 'keep' };
  const ended = { source_labels: ['__meta_kubernetes_pod_phase'], regex: 'Succeeded|Failed', action: 'drop' };
  const named = { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'pod' };
  const targets = (relabel_configs: object[], names = [namespace]) =>
    plainTargets(
      {
        scrape_configs: [
          { job_name: 'fleet', kubernetes_sd_configs: [{ role: 'pod', namespaces: { names } }], relabel_configs },
        ],
      },
      fleet,
    );
  expect(targets([byLabel, byPort, ended, named])).toEqual(monitorTargets([monitor()], fleet));
  expect(targets([byPort])).toContain('odoo-fleet Deployment page:user-port');
  expect(targets([byLabel])).toContain('odoo-fleet Service stop:http-usermetric');
  expect(targets([byLabel, byPort], ['elsewhere'])).toEqual([]);
});
