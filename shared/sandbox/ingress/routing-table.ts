import type { Ingress, IngressBackend } from './objects.ts';

/** What one host and path lead to. */
export type Route = { host: string; path: string; isExact: boolean; backend: IngressBackend };

/** Routes in the order in which they are tried. */
export type RoutingTable = { routes: readonly Route[] };

/** The first of several Ingresses that claim the same host and path is the oldest one, as with ingress-nginx. */
export function routingTable(ingresses: readonly Ingress[]): RoutingTable {
  const age = ({ metadata }: Ingress) => `${metadata.creationTimestamp ?? ''}/${metadata.name}`;
  const oldestFirst = ingresses.toSorted((a, b) => (age(a) < age(b) ? -1 : 1));
  const routes = oldestFirst.flatMap(({ spec }) => [
    ...(spec.rules ?? []).flatMap(({ host = '', http }) =>
      (http?.paths ?? []).map(({ path = '/', pathType, backend }): Route => {
        return { host: host.toLowerCase(), path, isExact: pathType === 'Exact', backend };
      }),
    ),
    ...(spec.defaultBackend ? [{ host: '', path: '/', isExact: false, backend: spec.defaultBackend }] : []),
  ]);
  const rank = ({ host }: Route) => (host === '' ? 2 : host.startsWith('*.') ? 1 : 0);
  return {
    // A stable sort: equal routes stay in the order of age.
    routes: routes.toSorted(
      (a, b) => rank(a) - rank(b) || b.path.length - a.path.length || Number(b.isExact) - Number(a.isExact),
    ),
  };
}

/** `unknown-host` if no rule names the host, `unknown-path` if one does but none of its paths fits. */
export function findRoute(table: RoutingTable, host: string, path: string): Route | 'unknown-host' | 'unknown-path' {
  const found = table.routes.find((route) => isHostOf(route, host) && isPathOf(route, path));
  if (found !== undefined) return found;
  return table.routes.some((route) => isHostOf(route, host)) ? 'unknown-path' : 'unknown-host';
}

/** A host name without port, in lower case; an IPv6 address keeps its brackets. */
export function hostName(header: string | undefined): string {
  return (header ?? '').replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}

function isHostOf({ host }: Route, asked: string): boolean {
  if (host === '' || host === asked) return true;
  // A wildcard stands for exactly one label.
  return host.startsWith('*.') && asked.slice(asked.indexOf('.')) === host.slice(1) && asked.indexOf('.') > 0;
}

/** Prefix matches whole elements: `/a` fits `/a` and `/a/b`, not `/ab`. */
function isPathOf({ path, isExact }: Route, asked: string): boolean {
  if (isExact) return asked === path;
  const prefix = path.replace(/\/+$/, '');
  return asked === prefix || asked.startsWith(`${prefix}/`);
}
