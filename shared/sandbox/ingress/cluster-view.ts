import { type KubernetesClient, openKubernetesClient } from '../kubernetes-client.ts';
import { type Informer, startInformer } from '../kubernetes-informer.ts';
import { pods as podResource } from '../kubernetes-node/objects.ts';
import { type Endpoint, readyEndpoints, servicePort } from './endpoints.ts';
import {
  type Ingress,
  type IngressBackend,
  ingresses as ingressResource,
  services as serviceResource,
} from './objects.ts';
import { findRoute, type RoutingTable, routingTable } from './routing-table.ts';

/** Where a request goes, or the answer it gets instead. */
export type Destination = Endpoint | Refusal;
export type Refusal = { statusCode: number; text: string };

/** What the proxies know of one namespace, kept by watches: no request waits for the API server. */
export type ClusterView = {
  forIngress(host: string, path: string): Destination;
  /** `<service>.<namespace>.svc.cluster.local`; the port is the Service's. */
  forService(host: string, port: number): Destination;
  stop(): Promise<void>;
};

export type ClusterViewOptions = { kubeconfigFile: string; namespace: string };

export async function openClusterView({ kubeconfigFile, namespace }: ClusterViewOptions): Promise<ClusterView> {
  const client = await openKubernetesClient(kubeconfigFile);
  const [pods, services, routes] = await Promise.all([
    startInformer(client, podResource, { namespace }),
    startInformer(client, serviceResource, { namespace }),
    watchRoutes(client, namespace),
  ]);
  const turns = new Map<string, number>();

  function backend(name: string, asked: { number?: number; name?: string } | undefined): Destination {
    const service = services.get(name);
    if (service === undefined) return { statusCode: 503, text: `There is no Service ${name} (yet).` };
    const port = servicePort(service, asked);
    if (port === undefined) return { statusCode: 503, text: `Service ${name} has no such port.` };
    const endpoints = readyEndpoints(service, port, pods.list());
    const turn = (turns.get(name) ?? 0) + 1;
    turns.set(name, turn);
    const next = endpoints[turn % endpoints.length];
    return next ?? { statusCode: 503, text: `No pod of Service ${name} is ready. It may be starting; try again.` };
  }

  return {
    forIngress(host, path) {
      const route = findRoute(routes.table(), host, path);
      if (route === 'unknown-host') return { statusCode: 404, text: `Nothing is served under the name ${host}.` };
      if (route === 'unknown-path') return { statusCode: 404, text: `Nothing is served at this path of ${host}.` };
      return ingressBackend(route.backend, backend);
    },
    forService(host, port) {
      const [name = '', asked = '', ...rest] = host.split('.');
      const isService = ['svc.cluster.local', 'svc', ''].includes(rest.join('.'));
      if (!isService || asked !== namespace) {
        const form = `<service>.${namespace}.svc.cluster.local`;
        return { statusCode: 404, text: `This proxy serves names of the form ${form}, not ${host}.` };
      }
      return backend(name, { number: port });
    },
    async stop() {
      await Promise.all([pods.stop(), services.stop(), routes.stop()]);
      await client.close();
    },
  };
}

function ingressBackend(
  { service }: IngressBackend,
  backend: (name: string, port: { number?: number; name?: string } | undefined) => Destination,
): Destination {
  if (service !== undefined) return backend(service.name, service.port);
  return { statusCode: 503, text: 'This Ingress names no Service; resource backends are not supported.' };
}

/** The table is made anew when an Ingress changes, not per request. */
async function watchRoutes(client: KubernetesClient, namespace: string) {
  let table: RoutingTable | undefined;
  const forget = () => {
    table = undefined;
  };
  const handler = { changed: forget, deleted: forget };
  const informer: Informer<Ingress> = await startInformer(client, ingressResource, { namespace, handler });
  return {
    table: () => (table ??= routingTable(informer.list())),
    stop: informer.stop,
  };
}
