import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import { isAllowed, type NetworkPolicy, type Place } from './network-reach.ts';
import { type ReadyPod, readyPods } from './pods.fixture.ts';

const metadataService = '169.254.169.254';
/** For documentation: it belongs to nobody. */
const somewhereElse = '203.0.113.1';

/** Runs in a tenant's container: what it finds there, and which addresses it can connect to. */
const probe = `
import http.client, json, os, socket, ssl, sys
def connect(host, port):
    try:
        socket.create_connection((host, int(port)), 5).close()
        return 'connected'
    except OSError as error:
        return type(error).__name__
def ask(host, path):
    connection = http.client.HTTPSConnection(host, context=ssl._create_unverified_context(), timeout=5)
    connection.request('GET', path)
    return connection.getresponse().status
places = json.loads(sys.argv[1])
print(json.dumps({
    'hasToken': os.path.exists('/var/run/secrets/kubernetes.io'),
    'isRoot': os.getuid() == 0,
    'secretVariables': [name for name in os.environ if 'PASS' in name or 'TOKEN' in name],
    'secretsOfOthers': ask('kubernetes.default.svc.cluster.local', '/api/v1/namespaces/odoo-tenants/secrets'),
    'connections': {what: connect(*place) for what, place in places.items()},
}))
`;

type Found = {
  hasToken: boolean;
  isRoot: boolean;
  secretVariables: string[];
  secretsOfOthers: number;
  connections: Record<string, string>;
};

/** What a tenant's pod can reach, seen from inside it, and what its NetworkPolicies say it may. */
export function reachTests(fleet: () => FleetUnderTest): void {
  let instance: string;
  let world: World;
  let found: Found;

  beforeAll(async () => {
    instance = await fleet().provision('reach', { customer: 'reach' });
    await fleet().settled(instance, { limitMs: 300_000 });
    world = await worldOf(fleet(), instance);
    const places = JSON.stringify(world.tried);
    const command = ['-n', 'odoo-tenants', 'exec', world.pod.metadata.name, '--', 'python3', '-c', probe, places];
    found = JSON.parse(await fleet().kubectl.run(command, { timeoutMs: 120_000 })) as Found;
  }, 420_000);
  afterAll(async () => {
    await fleet().request('terminate', instance);
    await fleet().settled(instance, { operationCount: 2 });
  }, 180_000);

  it('has no token, is not root, and is nobody to the API server', () => {
    expect(found).toMatchObject({ hasToken: false, isRoot: false, secretVariables: [] });
    expect([401, 403]).toContain(found.secretsOfOthers);
  });

  it.each(['the metadata service', 'an address elsewhere', 'the kubelet'])(
    'is refused %s by the firewall of this cluster',
    (what) => {
      expect(found.connections[what]).toBe('ConnectionRefusedError');
    },
  );

  it('knows no name of the outside', () => {
    expect(found.connections['a name elsewhere']).toBe('gaierror');
  });

  it('is kept by the policies from everything but DNS and its database server', () => {
    const { tenant, policies } = world;
    const refused = world.neighbours.filter(({ place, port }) => !isAllowed(tenant, place, { policies, port }));
    expect(refused.map(({ what }) => what)).toEqual(world.neighbours.map(({ what }) => what));
    expect(isAllowed(tenant, world.dns, { policies, port: 53, protocol: 'UDP' })).toBe(true);
    expect(isAllowed(tenant, { address: world.database.host }, { policies, port: world.database.port })).toBe(true);
  });

  it('is reached, by the policies, from the ingress controller and from functions that look at it only', () => {
    const { tenant, policies } = world;
    const mayAsk = (from: Place) => isAllowed(from, tenant, { policies, port: 8069 });
    const inNamespace = (namespace: string): Place => ({ pod: { namespace, labels: {} } });
    expect([inNamespace('ingress-nginx'), functionPlace('provision')].map(mayAsk)).toEqual([true, true]);
    const others = [
      inNamespace('default'),
      inNamespace('knative-eventing'),
      functionPlace('billing'),
      world.otherTenant,
    ];
    expect(others.map(mayAsk)).toEqual([false, false, false, false]);
  });

  // The bridge plugin of this cluster enforces no policy. One that does shows here: then the list is empty.
  it('connects, on this cluster, to what only a policy keeps it from', () => {
    const names = ['the API server', 'the suspension page', 'a function', 'the broker', "the platform's database"];
    expect(names.filter((name) => found.connections[name] === 'connected')).toEqual(names);
  });
}

type World = {
  pod: ReadyPod;
  tenant: Place;
  otherTenant: Place;
  dns: Place;
  database: { host: string; port: number };
  policies: NetworkPolicy[];
  /** What no tenant may reach. */
  neighbours: { what: string; place: Place; port: number }[];
  /** What is tried from inside, by name. */
  tried: Record<string, readonly [host: string, port: number]>;
};

async function worldOf(fleet: FleetUnderTest, instance: string): Promise<World> {
  const { kubectl, cluster } = fleet;
  const one = async (namespace: string, labels: string) =>
    await until(`a pod ${labels}`, async () => (await readyPods(fleet, { namespace, labels }))[0], { limitMs: 60_000 });
  const pod = await one('odoo-tenants', `odoofleet.dev/instance=${instance}`);
  const page = await one('odoo-tenants', 'app.kubernetes.io/name=suspension-page');
  const gateway = await one('knative-serving', 'app=fleet-ingress');
  const broker = await one('knative-eventing', 'eventing.knative.dev/brokerRole=ingress');
  const dns = await one('kube-system', 'app=coredns');
  const text = `select host, port from db_servers where purpose = 'tenants'`;
  const [database] = await fleet.rows<World['database']>(text);
  if (database === undefined) throw new Error('there is no database server');
  const slice = ['-n', 'odoo-fleet', 'get', 'endpointslice', 'postgres', '-o', 'jsonpath={.ports[0].port}'];
  const platformPort = Number(await kubectl.run(slice));
  const node = cluster.node.address;
  const policies = JSON.parse(await kubectl.run(['get', 'networkpolicies', '-A', '-o', 'json'])) as {
    items: NetworkPolicy[];
  };
  const other = {
    ...pod.metadata.labels,
    'odoofleet.dev/instance': 'other',
    'app.kubernetes.io/instance': 'odoo-other',
  };
  const otherTenant: Place = { pod: { namespace: 'odoo-tenants', labels: other } };
  return {
    pod,
    tenant: placeOf(pod),
    otherTenant,
    dns: placeOf(dns),
    database,
    policies: policies.items,
    neighbours: [
      { what: 'the API server', place: { address: node }, port: 6443 },
      { what: 'the kubelet', place: { address: node }, port: 10250 },
      { what: 'the metadata service', place: { address: metadataService }, port: 80 },
      { what: 'an address elsewhere', place: { address: somewhereElse }, port: 443 },
      { what: "the platform's database", place: { address: node }, port: platformPort },
      { what: 'the suspension page', place: placeOf(page), port: 8402 },
      { what: 'another instance', place: otherTenant, port: 8069 },
      { what: 'the gateway of the functions', place: placeOf(gateway), port: 8080 },
      { what: 'queue-proxy of a function', place: functionPlace('provision'), port: 8012 },
      { what: 'a function', place: functionPlace('provision'), port: 8080 },
      { what: 'the broker', place: placeOf(broker), port: 8080 },
    ],
    tried: {
      'the API server': ['kubernetes.default.svc.cluster.local', 443],
      'the kubelet': [node, 10250],
      'the metadata service': [metadataService, 80],
      'an address elsewhere': [somewhereElse, 443],
      'a name elsewhere': ['example.com', 443],
      "the platform's database": [node, platformPort],
      'the suspension page': [page.status.podIP, 8402],
      'a function': ['provision.odoo-fleet.svc.cluster.local', 80],
      'the broker': ['broker-ingress.knative-eventing.svc.cluster.local', 80],
    },
  };
}

function placeOf({ metadata, spec }: ReadyPod): Place {
  const named = spec.containers.flatMap(({ ports = [] }) => ports.map((one) => [one.name ?? '', one.containerPort]));
  const { namespace, labels } = metadata;
  return { pod: { namespace, labels, ports: Object.fromEntries(named) as Record<string, number> } };
}

/** A function's pod as Serving labels it. */
function functionPlace(name: string): Place {
  return { pod: { namespace: 'odoo-fleet', labels: { 'serving.knative.dev/service': name } } };
}
