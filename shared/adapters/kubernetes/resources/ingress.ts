import type { V1HTTPIngressPath, V1Ingress } from '@kubernetes/client-node';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooPorts } from '#shared/domain/instance/odoo-conf.ts';
import { labelsOf } from './labels.ts';
import type { ClusterSettings } from './settings.ts';

/** The instance's public host. Websockets go to the gevent process, which Odoo starts only beside workers. */
export function ingress(instance: Instance, settings: ClusterSettings): V1Ingress {
  const name = namesOf(instance.id).object;
  const path = (prefix: string, port: number): V1HTTPIngressPath => ({
    path: prefix,
    pathType: 'Prefix',
    backend: { service: { name, port: { number: port } } },
  });
  const websocketPort = instance.plan.workers > 0 ? odooPorts.websocket : odooPorts.http;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: {
      name,
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
