import {
  defineConfig,
  httpUrl,
  integer,
  oneOf,
  requiredRow,
  row,
  secretRow,
  text,
  type ValueReader,
} from './config.ts';

// The rows that several functions share. A function takes those it needs: defineConfig({ ...serving, ...platformDatabase }).

const hostName = text({ pattern: /^[A-Za-z0-9]([A-Za-z0-9.:-]{0,252})$/, wanted: 'a host name or an IP address' });
const port = integer(1, 65_535);
const path = text({ wanted: 'a path' });
const label = text({
  pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  wanted: 'a Kubernetes name of a-z, 0-9 and "-"',
});

const share: ValueReader<number> = {
  wanted: 'a number from 0 to 1',
  read: (text) => (/^(0|1|0?\.\d+|1\.0+)$/.test(text) ? Number(text) : undefined),
};

/** What every function needs to run. */
export const serving = defineConfig({
  port: row('PORT', port, 8080, 'Port to listen on; Knative sets it.'),
  logLevel: row(
    'LOG_LEVEL',
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'),
    'info',
    'Least level that is logged.',
  ),
  // Knative's queue-proxy ends a pod 300 s after SIGTERM at the latest; the longest request may take 120 s.
  drainTimeoutMs: row(
    'DRAIN_TIMEOUT_MS',
    integer(0, 600_000),
    110_000,
    'How long requests in flight may take after SIGTERM.',
  ),
});

/** The platform's own records, through PgBouncer. */
export const platformDatabase = defineConfig({
  platformHost: requiredRow(
    'PLATFORM_POSTGRES_HOST',
    hostName,
    'Host of the connection bouncer before the platform database.',
  ),
  platformPort: row('PLATFORM_POSTGRES_PORT', port, 5432, 'Its port.'),
  platformDatabase: row('PLATFORM_POSTGRES_DB', text(), 'platform', 'Name of the platform database.'),
  platformUser: row('PLATFORM_POSTGRES_USER', text(), 'fleet', 'Role of the functions.'),
  platformPassword: secretRow('PLATFORM_POSTGRES_PASSWORD', 'Password of that role.'),
  platformSslMode: row(
    'PLATFORM_POSTGRES_SSLMODE',
    oneOf('disable', 'require', 'verify-full'),
    'disable',
    "TLS towards the bouncer, in libpq's words. Off by default: the bouncer is a neighbour in the cluster.",
  ),
  neonWebSocketUrl: row('NEON_WEBSOCKET_URL', text(), undefined, 'neon only: the address of its WebSocket relay.'),
  databaseDriver: row(
    'DATABASE_DRIVER',
    oneOf('pg', 'neon'),
    'pg',
    'pg, or the Neon serverless driver over WebSockets.',
  ),
  // Times max-scale of all functions: what the bouncer has to hold as clients.
  databasePoolMax: row(
    'DATABASE_POOL_MAX',
    integer(1, 100),
    5,
    'Connections a process keeps to the platform database.',
  ),
});

/** Where events go. */
export const publishing = defineConfig({
  brokerUrl: requiredRow('BROKER_URL', httpUrl, 'Where events are sent: the ingress of the Knative Broker.', {
    alsoNamed: ['K_SINK'],
  }),
  eventSource: row(
    'EVENT_SOURCE',
    text({ pattern: /^[a-z][a-z0-9+.-]*:[\x21-\x7e]{1,200}$/, wanted: 'an absolute URI such as urn:odoo-fleet' }),
    'urn:odoo-fleet',
    'The `source` of our own events.',
  ),
  eventSigningKey: secretRow(
    'EVENT_SIGNING_KEY',
    'Private key our own events are signed with: PKCS8 PEM or JWK, Ed25519 or P-256. Its public half is a key of EVENT_SOURCE.',
    { optional: true },
  ),
});

/** Whose events are handled. */
export const receiving = defineConfig({
  sourcesPolicy: row(
    'SOURCES_POLICY',
    oneOf('open', 'known', 'signed'),
    'known',
    'Who may send events: open, every source that has no rows in the table sources; known, only by a row; signed, only by a row and with a valid signature.',
  ),
});

/** Where dead letters wait while the platform's database is away. */
export const deadLetterSpool = defineConfig({
  spoolFolder: row(
    'DEAD_LETTER_SPOOL_DIR',
    path,
    undefined,
    'Folder that dead-letter and reconcile share, for dead letters that come while the platform database is away; without it they are only logged then.',
  ),
});

/** The cache. Without a host every read goes to the database. */
export const cache = defineConfig({
  redisHost: row('REDIS_HOST', hostName, undefined, 'Host of Redis; without it the cache is bypassed.'),
  redisPort: row('REDIS_PORT', port, 6379, 'Its port.'),
  redisPassword: secretRow('REDIS_PASSWORD', 'Its password.', { optional: true }),
});

/** The cluster where the instances live. */
export const tenantCluster = defineConfig({
  kubeconfig: row('KUBECONFIG', path, undefined, 'Cluster access; without it the ServiceAccount of the pod is used.'),
  tenantNamespace: row('TENANT_NAMESPACE', label, 'odoo-tenants', 'Namespace of the instances.'),
  tenantConnectTo: row(
    'TENANT_CONNECT_TO',
    text({ pattern: /^[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$/, wanted: 'host:port' }),
    undefined,
    'Where requests to instances are sent instead of to their Services; for runs outside a cluster.',
  ),
  ingressClass: row('INGRESS_CLASS', label, undefined, "Class of the instances' Ingresses; without it the cluster's."),
  tlsSecretName: row('TLS_SECRET_NAME', label, undefined, 'Secret with the wildcard certificate of the instances.'),
  certificateIssuer: row(
    'CERTIFICATE_ISSUER',
    label,
    undefined,
    "cert-manager's ClusterIssuer for customers' own hosts; without it these have no certificate.",
  ),
  storageClass: row('STORAGE_CLASS', label, undefined, "Class of the instances' volumes; without it the cluster's."),
  ingressNamespace: row('INGRESS_NAMESPACE', label, 'ingress-nginx', 'Namespace of the ingress controller.'),
  databaseCidrs: row(
    'DATABASE_CIDRS',
    text({
      pattern: /^[0-9a-fA-F.:]+\/[0-9]{1,3}(,[0-9a-fA-F.:]+\/[0-9]{1,3})*$/,
      wanted: 'address/bits, separated by commas',
    }),
    undefined,
    'Networks of the Odoo database servers that are known by name: NetworkPolicies can name nothing else. Copies ask for it.',
  ),
  functionsNamespace: row('FUNCTIONS_NAMESPACE', label, 'odoo-fleet', 'Namespace of the functions.'),
});

/** The PostgreSQL servers of the instances. */
export const odooServers = defineConfig({
  odooPasswordsFolder: row(
    'ODOO_POSTGRES_PASSWORDS_DIR',
    path,
    undefined,
    'Folder of the mounted Secret with one admin password per file, named as db_servers.secret_key says.',
  ),
  legacyHost: row(
    'ODOO_POSTGRES_HOST',
    hostName,
    undefined,
    'Older setting: the one server, used when db_servers has no row.',
  ),
  legacyPort: row('ODOO_POSTGRES_PORT', port, 5432, 'Older setting: its port.'),
  legacyUser: row('ODOO_POSTGRES_USER', text(), 'postgres', 'Older setting: its admin.'),
  legacyPassword: secretRow('ODOO_POSTGRES_PASSWORD', "Older setting: the admin's password.", { optional: true }),
});

/** What an instance is given when its request does not say. */
export const instanceDefaults = defineConfig({
  defaultImage: row('DEFAULT_IMAGE', label, 'odoo-19', 'Image (images.id) of a request that names none.'),
  defaultLanguage: row(
    'DEFAULT_LANGUAGE',
    text({ pattern: /^[a-z]{2,3}(_[A-Z]{2})?$/, wanted: 'a language such as en_US' }),
    'en_US',
    'Language of a request that names none.',
  ),
  clusterId: row('CLUSTER_ID', label, 'default', 'The cluster (clusters.id) new instances are put in.'),
});

/** Where functions are reached without the broker. */
export const functionAddresses = defineConfig({
  functionUrl: row(
    'FUNCTION_URL',
    text({ pattern: /^https?:\/\/.*\{function\}/, wanted: 'a URL with {function} in it' }),
    'http://{function}.odoo-fleet.svc.cluster.local',
    'Where a function answers; {function} stands for its name.',
  ),
});

/** How the world is compared with the records. */
export const reconciling = defineConfig({
  reconcileEveryMs: row(
    'RECONCILE_EVERY_MS',
    integer(10_000, 86_400_000),
    300_000,
    'Time between two looks at an instance, a tenth more or less.',
  ),
  orphanQuarantineDays: row(
    'ORPHAN_QUARANTINE_DAYS',
    integer(1, 3_650),
    7,
    'Databases that bear our name and belong to no record are put out of use after so many days.',
  ),
  purgeAfterWindow: row(
    'PURGE_AFTER_WINDOW',
    oneOf('on', 'off'),
    'off',
    'on: ask for the purge of terminated instances whose undo window is over; off: report them.',
  ),
  backupSchedule: row(
    'BACKUP_SCHEDULE',
    oneOf('on', 'off'),
    'on',
    'on: ask for the backups and verifications that are due, final ones included; off: only those that others ask for are made.',
  ),
});

/** How long work may be held. One step is at most 20 s, so a lease of 30 s that is renewed per step never ends within one. */
export const operations = defineConfig({
  leaseMs: row('LEASE_MS', integer(1_000, 300_000), 30_000, 'How long a taken operation is held without renewal.'),
  // The broker gives up waiting after 60 s (delivery.timeout) and would send the event again.
  stepBudgetMs: row('STEP_BUDGET_MS', integer(100, 55_000), 25_000, 'How long one request may go on starting steps.'),
});

/** OpenTelemetry, by its own names. Without an endpoint nothing of it is loaded. */
export const tracing = defineConfig({
  otlpEndpoint: row(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    httpUrl,
    undefined,
    'Collector that takes spans (OTLP over HTTP, JSON), without /v1/traces. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are read, too.',
  ),
  tracesEndpoint: row(
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    httpUrl,
    undefined,
    'The same with its whole path; has precedence.',
  ),
  otlpHeaders: secretRow(
    'OTEL_EXPORTER_OTLP_HEADERS',
    'Headers the collector wants, such as its key: name=value,name=value.',
    { optional: true },
  ),
  // A collector is a neighbour and answers in a millisecond or two; nothing may run after the answer, so spans go before it.
  tracesTimeoutMs: row(
    'OTEL_EXPORTER_OTLP_TIMEOUT',
    integer(10, 10_000),
    250,
    'The longest an event may wait for its spans to be taken, in milliseconds; after that they are dropped, and those of the next 10 s.',
  ),
  tracesSampler: row(
    'OTEL_TRACES_SAMPLER',
    oneOf('parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'),
    'parentbased_always_on',
    'Which traces that begin here are recorded.',
  ),
  tracesSamplerArg: row('OTEL_TRACES_SAMPLER_ARG', share, 1, 'Share of them that parentbased_traceidratio records.'),
});
