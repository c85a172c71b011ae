import { isIP } from 'node:net';
import type {
  V1NetworkPolicy,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
  V1NetworkPolicySpec,
} from '@kubernetes/client-node';
import type { DatabaseServer, Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooPorts } from '#shared/domain/instance/odoo-conf.ts';
import { isStaging, outboundSink } from '#shared/domain/instance/staging.ts';
import { bootLabel, labelKeys, labelsOf } from './labels.ts';
import type { ClusterSettings } from './settings.ts';

/** The client's model calls `from` `_from` and renames it when it sends; we send objects as they are. */
type IngressRule = { from: V1NetworkPolicyPeer[]; ports: V1NetworkPolicyPort[] };
export type NetworkPolicy = Omit<V1NetworkPolicy, 'spec'> & {
  spec: Omit<V1NetworkPolicySpec, 'ingress'> & { ingress: IngressRule[] };
};

/**
 * Nothing in or out, except: the ingress controller and our functions to Odoo; Odoo to DNS, to its own database server
 * and to the mail relay; of a staging copy the sink is in the relay's place. A server that is known by name cannot be named
 * here: its port is open to the networks that the settings name, and without them to every address; of a copy to none, as
 * that would be a way out.
 */
export function networkPolicy(
  instance: Instance,
  options: { settings: ClusterSettings; databaseServer: DatabaseServer },
): NetworkPolicy {
  const { settings, databaseServer } = options;
  const dns = settings.dnsNamespace ?? { 'kubernetes.io/metadata.name': 'kube-system' };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: {
      name: namesOf(instance.id).object,
      namespace: settings.namespace,
      labels: labelsOf(instance.id),
    },
    spec: {
      podSelector: {
        matchLabels: { [labelKeys.owner]: instance.id },
        matchExpressions: [{ key: labelKeys.name, operator: 'NotIn', values: [bootLabel] }],
      },
      policyTypes: ['Ingress', 'Egress'],
      // Without a namespace there is no rule at all: an empty `from` would let everybody in.
      ingress:
        settings.clientNamespaces.length === 0
          ? []
          : [
              {
                from: settings.clientNamespaces.map(inNamespace),
                ports: Object.values(odooPorts).map((port) => ({ protocol: 'TCP', port })),
              },
            ],
      egress: [
        {
          to: [inNamespace(dns)],
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
        ...toDatabase(instance, { settings, databaseServer }),
        ...(isStaging(instance) ? [toSink] : settings.mailRelay ? [to(settings.mailRelay)] : []),
      ],
    },
  };
}

function toDatabase(
  instance: Instance,
  { settings, databaseServer }: { settings: ClusterSettings; databaseServer: DatabaseServer },
) {
  if (isIP(databaseServer.host) !== 0) return [to(databaseServer)];
  const { databaseCidrs } = settings;
  if (databaseCidrs === undefined) return isStaging(instance) ? [] : [to(databaseServer)];
  const ports = [{ protocol: 'TCP', port: databaseServer.port }];
  return [{ to: databaseCidrs.map((cidr) => ({ ipBlock: { cidr } })), ports }];
}

/** Beside the instances, by the name its pods bear. */
const toSink = {
  to: [{ podSelector: { matchLabels: { [labelKeys.name]: outboundSink.service } } }],
  ports: [outboundSink.mailPort, outboundSink.proxyPort].map((port) => ({ protocol: 'TCP', port })),
};

function inNamespace(labels: Readonly<Record<string, string>>): V1NetworkPolicyPeer {
  return { namespaceSelector: { matchLabels: { ...labels } } };
}

function to({ host, port }: { host: string; port: number }) {
  const ports = [{ protocol: 'TCP', port }];
  const version = isIP(host);
  if (version === 0) return { ports };
  return { to: [{ ipBlock: { cidr: `${host}/${version === 4 ? 32 : 128}` } }], ports };
}
