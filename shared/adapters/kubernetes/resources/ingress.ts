import type { V1HTTPIngressPath, V1Ingress, V1IngressServiceBackend } from '@kubernetes/client-node';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooPorts } from '#shared/domain/instance/odoo-conf.ts';
import { labelsOf } from './labels.ts';
import type { ClusterSettings } from './settings.ts';

/** The Service that answers for suspended instances, in the tenants' namespace; its ports are named after the reasons. */
export const suspensionPageService = 'suspension-page';

/**
 * The instance's public host. Websockets go to the gevent process, which Odoo starts only beside workers. While a suspension
 * is open the whole host is the suspension page's.
 */
export function ingress(instance: Instance, settings: ClusterSettings): V1Ingress {
  const path = (prefix: string, ownPort: number): V1HTTPIngressPath => ({
    path: prefix,
    pathType: 'Prefix',
    backend: { service: backendOf(instance, ownPort) },
  });
  const websocketPort = instance.plan.workers > 0 ? odooPorts.websocket : odooPorts.http;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: {
      name: namesOf(instance.id).object,
      namespace: settings.namespace,
      labels: labelsOf(instance.id),
      ...(settings.ingressAnnotations ? { annotations: { ...settings.ingressAnnotations } } : {}),
    },
    spec: {
      ...(settings.ingressClassName ? { ingressClassName: settings.ingressClassName } : {}),
      ...(settings.tlsSecretName ? { tls: [{ hosts: [instance.host], secretName: settings.tlsSecretName }] } : {}),
      rules: [{ host: instance.host, http: { paths: [path('/websocket', websocketPort), path('/', odooPorts.http)] } }],
    },
  };
}

/** Of two reasons abuse is the one that is told: paying the bill would not bring such an instance back. */
function backendOf({ id, suspensions }: Instance, ownPort: number): V1IngressServiceBackend {
  const reason = suspensions.includes('abuse') ? 'abuse' : suspensions[0];
  if (reason === undefined) return { name: namesOf(id).object, port: { number: ownPort } };
  return { name: suspensionPageService, port: { name: reason } };
}
