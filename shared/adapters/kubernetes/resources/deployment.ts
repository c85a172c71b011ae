import type { V1Affinity, V1Deployment, V1Probe, V1ResourceRequirements } from '@kubernetes/client-node';
import { type Instance, isWantedRunning, type Plan } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooEnvironment, odooPorts } from '#shared/domain/instance/odoo-conf.ts';
import { isStaging, stagingEnvironment } from '#shared/domain/instance/staging.ts';
import { annotationKeys, type Component, labelKeys, podLabelsOf } from './labels.ts';
import { environmentOf, odooArguments, odooPodSpec } from './pod.ts';
import type { ClusterSettings } from './settings.ts';

/** Seconds from a pod's start until its login page must have answered once: Odoo loads its modules meanwhile. */
const startSeconds = 300;

/**
 * The instance's Deployments: one process for everything, or, with more than one replica, web pods without cron threads
 * and one cron pod without HTTP. `configurationHash` changes the pods when odoo.conf changes.
 */
export function deployments(
  instance: Instance,
  options: { settings: ClusterSettings; configurationHash: string },
): V1Deployment[] {
  const { plan } = instance;
  const isRunning = isWantedRunning(instance);
  const web = { ...options, name: namesOf(instance.id).object, replicas: isRunning ? plan.replicas : 0 };
  if (!hasCronDeployment(plan)) return [deployment(instance, 'web', web)];
  const cron = { ...options, name: namesOf(instance.id).cronDeployment, replicas: isRunning ? 1 : 0 };
  return [deployment(instance, 'web', web), deployment(instance, 'cron', cron)];
}

/** With several web pods, cron threads in each would only multiply the polling. */
export function hasCronDeployment(plan: Plan): boolean {
  return plan.replicas > 1;
}

type DeploymentOptions = {
  settings: ClusterSettings;
  configurationHash: string;
  name: string;
  replicas: number;
};

function deployment(instance: Instance, component: Component, options: DeploymentOptions): V1Deployment {
  const names = namesOf(instance.id);
  const labels = podLabelsOf(instance.id, component);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: options.name, namespace: options.settings.namespace, labels },
    spec: {
      replicas: options.replicas,
      // The volume is ReadWriteOnce, and two versions of Odoo must not work on one database.
      strategy: { type: 'Recreate' },
      revisionHistoryLimit: 2,
      // Kubernetes never lets it change.
      selector: {
        matchLabels: { [labelKeys.instance]: names.object, [labelKeys.component]: component },
      },
      template: {
        metadata: { labels, annotations: podAnnotations(instance, options.configurationHash) },
        spec: {
          ...odooPodSpec({
            settings: options.settings,
            container: {
              image: instance.image.reference,
              args: [...odooArguments, ...argumentsOf(instance.plan, component)],
              // The pod's own address: in a network where pods share one machine, `0.0.0.0` would take all of theirs.
              env: [
                { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
                ...environmentOf(instance.databaseServer === null ? {} : odooEnvironment(instance.databaseServer)),
                ...environmentOf(isStaging(instance) ? stagingEnvironment(instance) : {}),
              ],
              ...(component === 'web' ? { ports: portsOf(instance.plan), ...probes } : {}),
            },
            resources: resourcesOf(instance.plan),
            configurationSecret: names.configurationSecret,
            data: { persistentVolumeClaim: { claimName: names.object } },
          }),
          ...(hasCronDeployment(instance.plan) ? { affinity: sameNodeAs(instance.id) } : {}),
        },
      },
    },
  };
}

/** Each of them means new pods when it changes. */
function podAnnotations({ restartedBy }: Instance, configurationHash: string): Record<string, string> {
  return {
    [annotationKeys.configuration]: configurationHash,
    ...(restartedBy === null ? {} : { [annotationKeys.restarted]: restartedBy }),
  };
}

function argumentsOf(plan: Plan, component: Component): string[] {
  if (component === 'cron') return ['--no-http', '--workers=0', `--max-cron-threads=${plan.cronThreads}`];
  const address = '--http-interface=$(POD_IP)';
  return hasCronDeployment(plan) ? [address, '--max-cron-threads=0'] : [address];
}

function portsOf(plan: Plan) {
  const http = { name: 'http', containerPort: odooPorts.http };
  // The threaded server does not open the gevent port.
  return plan.workers > 0 ? [http, { name: 'websocket', containerPort: odooPorts.websocket }] : [http];
}

/** Half of the plan is reserved, as a fleet's instances are rarely busy at once; all of it is the limit of each pod. */
function resourcesOf(plan: Plan): V1ResourceRequirements {
  return {
    requests: { cpu: `${Math.ceil(plan.cpuMillis / 2)}m`, memory: `${Math.ceil(plan.memoryMib / 2)}Mi` },
    limits: { cpu: `${plan.cpuMillis}m`, memory: `${plan.memoryMib}Mi` },
  };
}

/** The node of the pods of an instance: a ReadWriteOnce volume is mounted on one node only. */
export function sameNodeAs(instanceId: string): V1Affinity {
  return {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        {
          topologyKey: 'kubernetes.io/hostname',
          labelSelector: {
            matchLabels: { [labelKeys.owner]: instanceId },
            // A Job of the instance has no part in the volume and may be on any node.
            matchExpressions: [{ key: labelKeys.component, operator: 'NotIn', values: ['job'] }],
          },
        },
      ],
    },
  };
}

const httpGet = (path: string): Pick<V1Probe, 'httpGet' | 'timeoutSeconds'> => ({
  httpGet: { path, port: 'http' },
  timeoutSeconds: 5,
});

/**
 * `/web/login` is the proof of the tenant's database: Odoo finds the database, loads its modules and renders from it.
 * `/web/health` touches none, and its `db_server_status=1` of Odoo 19 only opens PostgreSQL's `postgres` database.
 *
 * At the start the login page is asked every second, so an instance is up at most a second after it could be; the kubelet
 * asks for readiness as soon as the start is proven. Later every 10 s: a page costs some 5 ms of CPU, in a fleet of hundreds.
 * Liveness leaves the database out: a restart of Odoo does not bring PostgreSQL back.
 */
const probes = {
  startupProbe: { ...httpGet('/web/login'), periodSeconds: 1, failureThreshold: startSeconds },
  readinessProbe: { ...httpGet('/web/login'), periodSeconds: 10, failureThreshold: 3 },
  livenessProbe: { ...httpGet('/web/health'), periodSeconds: 10, failureThreshold: 6 },
} satisfies Record<string, V1Probe>;
