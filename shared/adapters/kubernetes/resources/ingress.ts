import { hash } from 'node:crypto';
import type { V1HTTPIngressPath, V1Ingress, V1IngressServiceBackend } from '@kubernetes/client-node';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooPorts } from '#shared/domain/instance/odoo-conf.ts';
import { labelsOf } from './labels.ts';
import type { ClusterSettings } from './settings.ts';

/** The Service that answers for suspended instances, in the tenants' namespace; its ports are named after the reasons. */
export const suspensionPageService = 'suspension-page';

/**
 * The instance's public host, and in an Ingress of their own the customer's hosts. Websockets go to the gevent process, which
 * Odoo starts only beside workers. While a suspension is open the whole host is the suspension page's.
 */
export function ingresses(instance: Instance, settings: ClusterSettings): V1Ingress[] {
  const { object, domainsIngress } = namesOf(instance.id);
  const { tlsSecretName } = settings;
  const own = ingress(instance, settings, {
    name: object,
    hosts: [instance.host],
    tls: tlsSecretName ? [{ hosts: [instance.host], secretName: tlsSecretName }] : [],
  });
  return instance.domains.length === 0 ? [own] : [own, ofDomains(instance, settings, domainsIngress)];
}

/**
 * Not among the rules of the first: cert-manager would make certificates for all of an Ingress' hosts, and write over the
 * wildcard. Each host has a certificate of its own, so that one whose DNS is broken keeps no other from being renewed.
 */
function ofDomains(instance: Instance, settings: ClusterSettings, name: string): V1Ingress {
  const { certificateIssuer } = settings;
  const tls = instance.domains.map((host) => ({ hosts: [host], secretName: certificateSecret(instance.id, host) }));
  const annotations = certificateIssuer ? { 'cert-manager.io/cluster-issuer': certificateIssuer } : {};
  return ingress(instance, settings, {
    name,
    hosts: instance.domains,
    tls: certificateIssuer ? tls : [],
    annotations,
  });
}

/** cert-manager writes it; no pod of the tenant mounts it. */
function certificateSecret(instanceId: string, host: string): string {
  return `${namesOf(instanceId).object}-certificate-${hash('sha256', host).slice(0, 12)}`;
}

type IngressParts = {
  name: string;
  hosts: readonly string[];
  tls: { hosts: string[]; secretName: string }[];
  annotations?: Record<string, string>;
};

function ingress(instance: Instance, settings: ClusterSettings, parts: IngressParts): V1Ingress {
  const path = (prefix: string, ownPort: number): V1HTTPIngressPath => ({
    path: prefix,
    pathType: 'Prefix',
    backend: { service: backendOf(instance, ownPort) },
  });
  const websocketPort = instance.plan.workers > 0 ? odooPorts.websocket : odooPorts.http;
  const paths = [path('/websocket', websocketPort), path('/', odooPorts.http)];
  const annotations = { ...settings.ingressAnnotations, ...parts.annotations };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: {
      name: parts.name,
      namespace: settings.namespace,
      labels: labelsOf(instance.id),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    spec: {
      ...(settings.ingressClassName ? { ingressClassName: settings.ingressClassName } : {}),
      ...(parts.tls.length > 0 ? { tls: parts.tls } : {}),
      rules: parts.hosts.map((host) => ({ host, http: { paths } })),
    },
  };
}

/** Of two reasons abuse is the one that is told: paying the bill would not bring such an instance back. */
function backendOf({ id, suspensions }: Instance, ownPort: number): V1IngressServiceBackend {
  const reason = suspensions.includes('abuse') ? 'abuse' : suspensions[0];
  if (reason === undefined) return { name: namesOf(id).object, port: { number: ownPort } };
  return { name: suspensionPageService, port: { name: reason } };
}
