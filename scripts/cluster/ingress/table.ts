import type { IncomingHttpHeaders } from 'node:http';

/** The part of Knative's Ingress that is read here (networking.internal.knative.dev/v1alpha1). */
export type Split = {
  serviceName: string;
  serviceNamespace: string;
  servicePort: number | string;
  percent?: number;
  appendHeaders?: Record<string, string>;
};

export type Path = {
  path?: string;
  headers?: Record<string, { exact?: string }>;
  splits: Split[];
  appendHeaders?: Record<string, string>;
  rewriteHost?: string;
};

export type Rule = { hosts: string[]; http: { paths: Path[] } };

export type Table = {
  /** Replaces what the Ingress `key` had; returns its hosts. */
  set(key: string, rules: readonly Rule[]): string[];
  remove(key: string): void;
  keys(): string[];
  find(host: string, request: { url: string; headers: IncomingHttpHeaders }): Path | undefined;
};

/** Which host and path leads where. */
export function openTable(): Table {
  const paths = new Map<string, Path[]>();
  const hostsOf = new Map<string, string[]>();
  const remove = (key: string) => {
    for (const host of hostsOf.get(key) ?? []) paths.delete(host);
    hostsOf.delete(key);
  };
  return {
    set(key, rules) {
      remove(key);
      for (const rule of rules) for (const host of rule.hosts) paths.set(host, rule.http.paths);
      const hosts = rules.flatMap((rule) => rule.hosts);
      hostsOf.set(key, hosts);
      return hosts;
    },
    remove,
    keys: () => [...hostsOf.keys()],
    find: (host, request) => bestPath(paths.get(host.split(':')[0] ?? '') ?? [], request),
  };
}

/** Of the paths that match, the one with the most headers, then the longest. */
function bestPath(paths: readonly Path[], request: { url: string; headers: IncomingHttpHeaders }): Path | undefined {
  const headersOf = ({ headers = {} }: Path) => Object.entries(headers);
  const matching = paths.filter(
    (path) =>
      request.url.startsWith(path.path ?? '') &&
      headersOf(path).every(([name, { exact }]) => request.headers[name.toLowerCase()] === exact),
  );
  const length = ({ path = '' }: Path) => path.length;
  return matching.sort((a, b) => headersOf(b).length - headersOf(a).length || length(b) - length(a))[0];
}

/** One of the splits, as often as its percentage says. @param random from 0 to 1. */
export function pickSplit(splits: readonly Split[], random: number): Split | undefined {
  let left = random * splits.reduce((sum, { percent = 100 }) => sum + percent, 0);
  for (const split of splits) {
    left -= split.percent ?? 100;
    if (left < 0) return split;
  }
  return splits.at(-1);
}
