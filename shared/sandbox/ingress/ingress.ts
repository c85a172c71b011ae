import { type ClusterViewOptions, openClusterView } from './cluster-view.ts';
import { type Forwarding, type ReverseProxy, startReverseProxy } from './reverse-proxy.ts';
import { hostName } from './routing-table.ts';

export type ProxyOptions = ClusterViewOptions & {
  /** Default: any free one. */
  port?: number;
};

/**
 * Serves the Ingresses of a namespace on one port of 127.0.0.1, and of ::1 where there is one. The Host header's port does
 * not matter, so `<name>.localhost` works whatever port this is. Plain HTTP: an Ingress's TLS section is not read.
 */
export async function startIngressProxy(options: ProxyOptions): Promise<ReverseProxy> {
  const view = await openClusterView(options);
  return withView(view, options, { resolve: ({ host, path }) => view.forIngress(hostName(host), path) });
}

/**
 * What cluster DNS and kube-proxy do inside a cluster: requests whose Host is
 * `<service>.<namespace>.svc.cluster.local[:port]` (80 without one) go to a ready pod of that Service. Send them with that
 * Host header, in the absolute form, or by CONNECT; so it serves as an HTTP client's proxy.
 */
export async function startServiceProxy(options: ProxyOptions): Promise<ReverseProxy> {
  const view = await openClusterView(options);
  return withView(view, options, {
    isTransparent: true,
    resolve: ({ host }) => view.forService(hostName(host), Number(/:(\d+)$/.exec(host)?.[1] ?? 80)),
  });
}

async function withView(
  view: { stop(): Promise<void> },
  { port }: ProxyOptions,
  forwarding: Forwarding,
): Promise<ReverseProxy> {
  const proxy = await startReverseProxy(forwarding, port === undefined ? {} : { port }).catch(
    async (error: unknown) => {
      await view.stop();
      throw error;
    },
  );
  return {
    port: proxy.port,
    async stop() {
      await proxy.stop();
      await view.stop();
    },
  };
}
