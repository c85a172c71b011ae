import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { join } from 'node:path';
import { Failure } from '#shared/domain/failure.ts';

/** Where the API server is and how to prove who calls. */
export type Access = { origin: string; headers: Record<string, string>; tls: TlsOptions };

export type TlsOptions = {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  servername?: string;
  rejectUnauthorized?: boolean;
};

/** The access of this moment. `isRefresh` reads it anew, after a refusal: tokens are rotated. */
export type AccessReader = (options?: { isRefresh?: boolean }) => Promise<Access>;

export type AccessOptions = {
  /** A kubeconfig; without one this process is a pod of the cluster and has a ServiceAccount. */
  kubeconfigFile?: string;
  /** Where a pod finds its token and the cluster's CA. */
  serviceAccountFolder?: string;
  /** The API server as pods reach it. */
  inClusterUrl?: string;
};

/** As client-go does: a projected token is renewed on disk long before it ends. */
const keptMs = 60_000;

/** Reads lazily: nothing happens before the first call. @throws Failure `misconfigured` from the reader. */
export function openAccess(options: AccessOptions): AccessReader {
  let kept: { access: Promise<Access>; until: number } | undefined;
  const read = options.kubeconfigFile === undefined ? fromPod(options) : fromKubeconfig(options.kubeconfigFile);
  return ({ isRefresh = false } = {}) => {
    const now = performance.now();
    if (kept === undefined || isRefresh || kept.until < now) {
      const access = read();
      kept = { access, until: now + keptMs };
      // A failed reading is not kept; whoever waits for it gets the error.
      access.catch(() => {
        if (kept?.access === access) kept = undefined;
      });
    }
    return kept.access;
  };
}

function fromPod({
  serviceAccountFolder: folder = '/var/run/secrets/kubernetes.io/serviceaccount',
  inClusterUrl = 'https://kubernetes.default.svc',
}: AccessOptions): () => Promise<Access> {
  return async () => {
    const [ca, token] = await Promise.all([readText(join(folder, 'ca.crt')), readText(join(folder, 'token'))]);
    return { origin: new URL(inClusterUrl).origin, headers: { authorization: `Bearer ${token.trim()}` }, tls: { ca } };
  };
}

function fromKubeconfig(file: string): () => Promise<Access> {
  let load: (() => Promise<Access>) | undefined;
  return async () => {
    load ??= readPlainKubeconfig(await readText(file)) ?? (await readAnyKubeconfig(file));
    return await load();
  };
}

/** Loading `@kubernetes/client-node` takes 0.3 to 0.4 s; it is worth that only for what needs its YAML and its logins. */
async function readAnyKubeconfig(file: string): Promise<() => Promise<Access>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (cause) {
    throw new Failure('misconfigured', `The kubeconfig ${file} cannot be read.`, { cause });
  }
  return async () => {
    const server = config.getCurrentCluster()?.server;
    if (server === undefined) throw new Failure('misconfigured', `The kubeconfig ${file} has no current cluster.`);
    // Runs the login (exec plugin, OIDC, token file) when its token has run out, and reads certificates.
    const found: RequestOptions = {};
    await config.applyToHTTPSOptions(found);
    const headers = Object.entries(found.headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]);
    const basic = found.auth ? { authorization: `Basic ${Buffer.from(found.auth).toString('base64')}` } : {};
    const tls = { ca: found.ca, cert: found.cert, key: found.key, servername: found.servername };
    return {
      origin: new URL(server).origin,
      headers: { ...basic, ...Object.fromEntries(headers) },
      tls: {
        ...(Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)) as TlsOptions),
        ...(found.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: found.rejectUnauthorized }),
      },
    };
  };
}

type PlainKubeconfig = {
  'current-context'?: string;
  contexts?: { name: string; context?: { cluster?: string; user?: string } }[];
  clusters?: { name: string; cluster?: Record<string, unknown> }[];
  users?: { name: string; user?: Record<string, unknown> }[];
};

/**
 * A kubeconfig that is written as JSON and holds only data (server, CA, token, certificate), or undefined: then the full
 * reader has to look.
 */
export function readPlainKubeconfig(text: string): (() => Promise<Access>) | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  let config: PlainKubeconfig;
  try {
    config = JSON.parse(text) as PlainKubeconfig;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // YAML may begin with a brace too
    throw error;
  }
  const context = config.contexts?.find(({ name }) => name === config['current-context'])?.context;
  const cluster = config.clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  const user = config.users?.find(({ name }) => name === context?.user)?.user;
  const clusterFields = ['server', 'certificate-authority-data'];
  const userFields = ['token', 'client-certificate-data', 'client-key-data'];
  if (!hasOnlyTexts(cluster, clusterFields) || !hasOnlyTexts(user, userFields) || !cluster['server']) return undefined;
  const decoded = (value: string | undefined) => (value === undefined ? undefined : Buffer.from(value, 'base64'));
  const tls = {
    ca: decoded(cluster['certificate-authority-data']),
    cert: decoded(user['client-certificate-data']),
    key: decoded(user['client-key-data']),
  };
  const access: Access = {
    origin: new URL(cluster['server']).origin,
    headers: user['token'] ? { authorization: `Bearer ${user['token']}` } : {},
    tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
  };
  return async () => access;
}

function hasOnlyTexts(
  fields: Record<string, unknown> | undefined,
  known: readonly string[],
): fields is Record<string, string> {
  return (
    fields !== undefined &&
    Object.entries(fields).every(([name, value]) => known.includes(name) && typeof value === 'string')
  );
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const wanted = 'Set KUBECONFIG, or run in a cluster with a ServiceAccount.';
    throw new Failure('misconfigured', `No access to the Kubernetes API: cannot read ${file}. ${wanted}`, { cause });
  }
}
