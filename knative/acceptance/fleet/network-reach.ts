import { BlockList } from 'node:net';

// What NetworkPolicies say about a connection, by the rules of networking.k8s.io/v1. For clusters whose network plugin does not
// enforce them: there a test can only ask what a plugin that does would do.

type Expression = { key: string; operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'; values?: string[] };
type Selector = { matchLabels?: Record<string, string>; matchExpressions?: Expression[] };
type Peer = { podSelector?: Selector; namespaceSelector?: Selector; ipBlock?: { cidr: string; except?: string[] } };
type PolicyPort = { protocol?: string; port?: number | string; endPort?: number };

export type NetworkPolicy = {
  metadata: { name: string; namespace: string };
  spec: {
    podSelector: Selector;
    policyTypes?: ('Ingress' | 'Egress')[];
    ingress?: { from?: Peer[]; ports?: PolicyPort[] }[];
    egress?: { to?: Peer[]; ports?: PolicyPort[] }[];
  };
};

/** One end of a connection: a pod, or an address that no pod has. */
export type Place = { address?: string; pod?: PodPlace };

export type PodPlace = {
  namespace: string;
  labels: Record<string, string>;
  /** Its container ports by name. */
  ports?: Record<string, number>;
};

type Rule = { peers: Peer[] | undefined; ports: PolicyPort[] | undefined };

/** May `from` connect to a port of `to`? The side that is no pod is under nobody's policy. */
export function isAllowed(
  from: Place,
  to: Place,
  { policies, port, protocol = 'TCP' }: { policies: readonly NetworkPolicy[]; port: number; protocol?: string },
): boolean {
  const isLetThrough = (rules: readonly Rule[] | undefined, other: Place, home: PodPlace) =>
    rules === undefined ||
    rules.some(
      ({ peers, ports }) =>
        (peers === undefined || peers.some((peer) => isPeer(peer, other, home.namespace))) &&
        (ports === undefined || ports.some((one) => isPort(one, { port, protocol, ports: to.pod?.ports ?? {} }))),
    );
  return (
    (from.pod === undefined || isLetThrough(rulesFor(from.pod, 'Egress', policies), to, from.pod)) &&
    (to.pod === undefined || isLetThrough(rulesFor(to.pod, 'Ingress', policies), from, to.pod))
  );
}

/** All rules of one direction; undefined when no policy selects the pod, which then is open. */
function rulesFor(
  pod: PodPlace,
  direction: 'Ingress' | 'Egress',
  policies: readonly NetworkPolicy[],
): Rule[] | undefined {
  const own = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === pod.namespace &&
      isSelected(spec.podSelector, pod.labels) &&
      (spec.policyTypes ?? ['Ingress', ...(spec.egress === undefined ? [] : ['Egress'])]).includes(direction),
  );
  if (own.length === 0) return undefined;
  return own.flatMap(({ spec }) =>
    direction === 'Ingress'
      ? (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
      : (spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports })),
  );
}

function isPeer({ podSelector, namespaceSelector, ipBlock }: Peer, place: Place, homeNamespace: string): boolean {
  // Pods are meant by their labels; what an ipBlock says about their addresses is left to the plugin.
  if (ipBlock !== undefined) return place.pod === undefined && isInBlock(ipBlock, place.address ?? '');
  if (place.pod === undefined) return false;
  const { namespace, labels } = place.pod;
  const isNamespace =
    namespaceSelector === undefined
      ? namespace === homeNamespace
      : isSelected(namespaceSelector, { 'kubernetes.io/metadata.name': namespace });
  return isNamespace && isSelected(podSelector ?? {}, labels);
}

function isInBlock({ cidr, except = [] }: { cidr: string; except?: string[] }, address: string): boolean {
  const isIn = (block: string) => {
    const [network = '', bits = ''] = block.split('/');
    const family = network.includes(':') ? 'ipv6' : 'ipv4';
    const list = new BlockList();
    list.addSubnet(network, Number(bits), family);
    return list.check(address, family);
  };
  return isIn(cidr) && !except.some(isIn);
}

function isPort(
  { protocol: wanted = 'TCP', port: first, endPort }: PolicyPort,
  { port, protocol, ports }: { port: number; protocol: string; ports: Record<string, number> },
): boolean {
  if (wanted !== protocol) return false;
  if (first === undefined) return true;
  if (typeof first === 'string') return ports[first] === port;
  return port >= first && port <= (endPort ?? first);
}

function isSelected(
  { matchLabels = {}, matchExpressions = [] }: Selector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const isMet = ({ key, operator, values = [] }: Expression) => {
    const value = labels[key];
    if (operator === 'Exists') return value !== undefined;
    if (operator === 'DoesNotExist') return value === undefined;
    const isIn = value !== undefined && values.includes(value);
    return operator === 'In' ? isIn : !isIn;
  };
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value) && matchExpressions.every(isMet);
}
