import * as v from 'valibot';
import { bouncerClientLimit } from './connections.ts';
import { knativeSchemas, ownKinds } from './knative-schemas.ts';
import { identityOf, type Manifest } from './kustomize.ts';
import { isJob, podOf } from './pod-rules.ts';
import { publicFunctions } from './public-functions.ts';

/** What is wrong between the objects of one built overlay, a line each. Pure. */
export function agreementMistakes(
  objects: readonly Manifest[],
  options: { knownSettings: ReadonlySet<string> },
): string[] {
  return [
    ...objects.flatMap(kindMistakes),
    ...objects.flatMap(placeMistakes),
    ...objects.flatMap((object) => settingMistakes(object, options.knownSettings)),
    ...objects.flatMap((object) => functionMistakes(object, objects)),
    ...objects.flatMap((object) => budgetMistakes(object, objects)),
    ...bindingMistakes(objects),
    ...mappingMistakes(objects),
    ...openingMistakes(objects),
    ...brokerMistakes(objects),
  ];
}

/** Fields of Knative's kinds, and that there is no kind that nobody checks. */
function kindMistakes(object: Manifest): string[] {
  const kind = `${object.apiVersion} ${object.kind}`;
  const schema = knativeSchemas[kind];
  if (schema === undefined) return ownKinds.has(kind) ? [] : [`${identityOf(object)} is of a kind that nobody checks.`];
  const { issues = [] } = v.safeParse(schema, object);
  return issues.map((issue) => `${identityOf(object)}: ${v.getDotPath(issue) ?? 'object'}: ${issue.message}.`);
}

const clusterWide = /^(Namespace|ValidatingAdmissionPolicy(Binding)?)$/;

function placeMistakes(object: Manifest): string[] {
  const { namespace } = object.metadata;
  if (clusterWide.test(object.kind)) {
    return namespace === undefined ? [] : [`${identityOf(object)} is the whole cluster's and has no namespace.`];
  }
  if (namespace === 'odoo-fleet' || namespace === 'odoo-tenants') return [];
  return [`${identityOf(object)} must state one of our namespaces.`];
}

/** ConfigMaps that become the environment of a program hold what it reads, and no secret. */
function settingMistakes(object: Manifest, knownSettings: ReadonlySet<string>): string[] {
  if (object.kind !== 'ConfigMap' || !['odoo-fleet', 'migration', 'platform-backup'].includes(object.metadata.name))
    return [];
  const unknown = Object.keys(dataOf(object)).filter((name) => !knownSettings.has(name));
  return unknown.map((name) => `${identityOf(object)} sets ${name}, which nobody reads.`);
}

export function dataOf(object: Manifest | undefined): Record<string, string> {
  return v.parse(v.object({ data: v.record(v.string(), v.string()) }), object ?? { data: {} }).data;
}

/** Most images are named after what runs them. */
const inTheWorkers: readonly string[] = ['platform-backup', 'outbound-sink'];
const imageOf = (name: string): string => (inTheWorkers.includes(name) ? 'worker' : name);

/** Names of a function agree, it is not public, and its account has a token only for rights it has. */
function functionMistakes(object: Manifest, objects: readonly Manifest[]): string[] {
  const pod = podOf(object);
  if (pod === undefined) return [];
  const { name, namespace, labels } = object.metadata;
  const account = pod.serviceAccountName ?? 'default';
  const hasAccount = account === 'default' || has(objects, 'ServiceAccount', { name: account, namespace });
  const wantsToken = accountsWithRights(objects).has(account);
  const isFunction = object.apiVersion === 'serving.knative.dev/v1';
  const configMaps = [
    ...pod.containers.flatMap(({ envFrom }) => envFrom.flatMap(({ configMapRef }) => configMapRef?.name ?? [])),
    ...pod.volumes.flatMap(({ configMap }) => configMap?.name ?? []),
  ];
  return [
    ...(isFunction &&
    !publicFunctions.includes(name) &&
    labels?.['networking.knative.dev/visibility'] !== 'cluster-local'
      ? ['must be cluster-local']
      : []),
    ...(isFunction && account !== name ? [`must run as ServiceAccount ${name}`] : []),
    ...(hasAccount ? [] : [`runs as ServiceAccount ${account}, which is not there`]),
    ...(wantsToken === pod.automountServiceAccountToken
      ? []
      : [wantsToken ? 'needs the token of its ServiceAccount' : 'needs no token: automountServiceAccountToken: false']),
    ...pod.containers
      .filter(({ image }) => !new RegExp(`(^|/)${imageOf(name)}(:|@|$)`).test(image) || image.endsWith(':latest'))
      .map(({ image }) => `has the image ${image}, not one named ${imageOf(name)} with a version`),
    ...configMaps
      .filter((one) => !has(objects, 'ConfigMap', { name: one, namespace }))
      .map((one) => `reads ConfigMap ${one}, which is not there`),
    ...pod.volumes
      .flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? [])
      .filter((one) => !has(objects, 'PersistentVolumeClaim', { name: one, namespace }))
      .map((one) => `mounts claim ${one}, which is not there`),
  ].map((mistake) => `${identityOf(object)} ${mistake}.`);
}

function has(
  objects: readonly Manifest[],
  kind: string,
  place: { name: string; namespace: string | undefined },
): boolean {
  return objects.some(
    ({ kind: one, metadata }) => one === kind && metadata.name === place.name && metadata.namespace === place.namespace,
  );
}

const bindingSchema = v.object({
  roleRef: v.object({ kind: v.literal('Role'), name: v.string() }),
  subjects: v.array(v.object({ kind: v.literal('ServiceAccount'), name: v.string(), namespace: v.string() })),
});

function accountsWithRights(objects: readonly Manifest[]): Set<string> {
  const bindings = objects.filter(({ kind }) => kind === 'RoleBinding');
  return new Set(bindings.flatMap((binding) => v.parse(bindingSchema, binding).subjects.map(({ name }) => name)));
}

function bindingMistakes(objects: readonly Manifest[]): string[] {
  return objects
    .filter(({ kind }) => kind === 'RoleBinding')
    .flatMap((binding) => {
      const { roleRef, subjects } = v.parse(bindingSchema, binding);
      const { namespace } = binding.metadata;
      return [
        ...(has(objects, 'Role', { name: roleRef.name, namespace })
          ? []
          : [`names Role ${roleRef.name}, which is not there`]),
        ...subjects
          .filter((subject) => !has(objects, 'ServiceAccount', subject))
          .map(({ name }) => `names ServiceAccount ${name}, which is not there`),
      ].map((mistake) => `${identityOf(binding)} ${mistake}.`);
    });
}

const mappingSchema = v.object({ spec: v.object({ ref: v.object({ name: v.string() }) }) });

/** A name of the internet leads to a function that is there, and meant for it. */
function mappingMistakes(objects: readonly Manifest[]): string[] {
  return objects
    .filter(({ kind }) => kind === 'DomainMapping')
    .flatMap((mapping) => {
      const { name } = v.parse(mappingSchema, mapping).spec.ref;
      const { namespace } = mapping.metadata;
      if (publicFunctions.includes(name) && has(objects, 'Service', { name, namespace })) return [];
      return [`${identityOf(mapping)} leads to ${name}, which is no function that people may reach.`];
    });
}

const selectorSchema = v.object({
  spec: v.object({ selector: v.object({ matchLabels: v.record(v.string(), v.string()) }) }),
});

/** Every function and Deployment has a budget for disruptions, and every budget is somebody's. */
function budgetMistakes(object: Manifest, objects: readonly Manifest[]): string[] {
  const { name } = object.metadata;
  if (object.kind === 'PodDisruptionBudget') {
    const { matchLabels } = v.parse(selectorSchema, object).spec.selector;
    const selected = matchLabels['serving.knative.dev/service'] ?? matchLabels['app.kubernetes.io/name'];
    const isThere = objects.some((one) => podOf(one) !== undefined && one.metadata.name === selected);
    return selected === name && isThere ? [] : [`${identityOf(object)} is nobody's: it selects ${selected}.`];
  }
  // A cache of one pod may be gone for a while.
  if (podOf(object) === undefined || isJob(object) || name === 'redis') return [];
  const isThere = objects.some(({ kind, metadata }) => kind === 'PodDisruptionBudget' && metadata.name === name);
  return isThere ? [] : [`${identityOf(object)} has no PodDisruptionBudget.`];
}

const openingSchema = v.object({
  spec: v.object({
    podSelector: v.object({ matchExpressions: v.tuple([v.object({ values: v.array(v.string()) })]) }),
  }),
});

/** The way to the cluster's API is open to the functions that have a token, and to no other. */
function openingMistakes(objects: readonly Manifest[]): string[] {
  const opening = objects.find(
    ({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'functions-to-cluster',
  );
  if (opening === undefined) return [];
  const open = v.parse(openingSchema, opening).spec.podSelector.matchExpressions[0].values;
  const functions = objects
    .filter(({ apiVersion }) => apiVersion === 'serving.knative.dev/v1')
    .map(({ metadata }) => metadata.name);
  const accounts = accountsWithRights(objects);
  return [
    ...functions
      .filter((name) => accounts.has(name) && !open.includes(name))
      .map((name) => `NetworkPolicy functions-to-cluster keeps ${name} from the cluster's API.`),
    ...open
      .filter((name) => !functions.includes(name) || !accounts.has(name))
      .map((name) => `NetworkPolicy functions-to-cluster lets ${name} out, which has no rights in the cluster.`),
  ];
}

type BrokerClass = { url: string; configKind: string };
const brokerClasses: Readonly<Record<string, BrokerClass>> = {
  MTChannelBasedBroker: { url: 'http://broker-ingress.knative-eventing.svc/odoo-fleet/fleet', configKind: 'ConfigMap' },
  RabbitMQBroker: { url: 'http://fleet-broker-ingress.odoo-fleet.svc', configKind: 'RabbitmqBrokerConfig' },
  Kafka: { url: 'http://kafka-broker-ingress.knative-eventing.svc/odoo-fleet/fleet', configKind: 'ConfigMap' },
};
const brokerSchema = v.object({
  spec: v.object({ config: v.object({ kind: v.string(), name: v.string(), namespace: v.string() }) }),
});

/** The class of the built Broker, undefined where none was picked. */
export function brokerClassOf(objects: readonly Manifest[]): string | undefined {
  const broker = objects.find(({ kind }) => kind === 'Broker');
  return broker?.metadata.annotations?.['eventing.knative.dev/broker.class'];
}

/** Where events are sent, and what the Broker is configured by, follow its class. */
function brokerMistakes(objects: readonly Manifest[]): string[] {
  const broker = objects.find(({ kind }) => kind === 'Broker');
  const name = brokerClassOf(objects);
  if (broker === undefined || name === undefined) return [];
  const known = brokerClasses[name];
  if (known === undefined)
    return [`Broker class ${name} is none that we know: ${Object.keys(brokerClasses).join(', ')}.`];
  const { config } = v.parse(brokerSchema, broker).spec;
  const settings = dataOf(objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'odoo-fleet'));
  const isAsynchronous = broker.metadata.annotations?.['messaging.knative.dev/async-handler'] === 'true';
  return [
    ...(settings['BROKER_URL'] === known.url ? [] : [`BROKER_URL must be ${known.url} for the class ${name}.`]),
    ...(config.kind === known.configKind
      ? []
      : [`The Broker of class ${name} is configured by a ${known.configKind}.`]),
    ...(config.namespace === 'knative-eventing' || has(objects, config.kind, config)
      ? []
      : [`The Broker is configured by ${config.kind} ${config.name}, which is not there.`]),
    ...(name === 'MTChannelBasedBroker' && !isAsynchronous
      ? ['The Broker in memory must answer at once: messaging.knative.dev/async-handler.']
      : []),
  ];
}

/** What an installation that customers depend on must have. */
export function productionMistakes(objects: readonly Manifest[]): string[] {
  const settings = dataOf(objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'odoo-fleet'));
  const pods = objects.flatMap((object) => podOf(object) ?? []);
  const hasVersion = (image: string) => /[:@][^/]+$/.test(image);
  return [
    ...(settings['SOURCES_POLICY'] === 'signed'
      ? []
      : ['production takes signed events only: components/signed-events.']),
    ...(has(objects, 'PersistentVolumeClaim', { name: 'dead-letter-spool', namespace: 'odoo-fleet' })
      ? []
      : ['production keeps dead letters while PostgreSQL is away: components/dead-letter-spool.']),
    ...(['RabbitMQBroker', 'Kafka'].includes(brokerClassOf(objects) ?? '')
      ? []
      : ['production needs a broker that lasts.']),
    ...pods
      .flatMap(({ containers }) => containers.map(({ image }) => image))
      .filter((image) => !hasVersion(image))
      .map((image) => `production names a version of image ${image}.`),
  ];
}

const maxClients = /^\s*max_client_conn\s*=\s*(\d+)\s*$/m;

/** Connections that are accepted for all functions together, and by whom: by the PgBouncer that is part of it, else as is said here. */
export function connectionLimitOf(objects: readonly Manifest[]): { limit: number; of: string } {
  const bouncer = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'pgbouncer');
  const [, own] = maxClients.exec(dataOf(bouncer)['pgbouncer.ini'] ?? '') ?? [];
  if (own !== undefined) return { limit: Number(own), of: 'PgBouncer' };
  const settings = dataOf(objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'odoo-fleet'));
  if (/pgbouncer/.test(settings['PLATFORM_POSTGRES_HOST'] ?? '')) return { limit: bouncerClientLimit, of: 'PgBouncer' };
  // its default of 100, less the three it keeps for superusers
  return { limit: 97, of: 'PostgreSQL' };
}
