import { readFile, rename, writeFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { JsonObject } from './json.ts';
import { arrayAt, isObject, objectAt, stringAt } from './json.ts';

/** Writes a kubeconfig with a bearer token, readable by this user only. It is JSON, which is YAML too. */
export async function writeKubeconfig(
  file: string,
  { url, caCertificate, token }: { url: string; caCertificate: string; token: string },
): Promise<void> {
  const name = 'sandbox';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name, cluster: { server: url, 'certificate-authority-data': Buffer.from(caCertificate).toString('base64') } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
  };
  await writeFile(`${file}.new`, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** How to reach an API server and prove who calls. */
export type ClusterAccess = {
  url: string;
  ca: string | undefined;
  token: string | undefined;
  certificate: string | undefined;
  key: string | undefined;
};

/** Reads the current context of a kubeconfig: a token or a client certificate, as data or as files. */
export async function readKubeconfig(file: string): Promise<ClusterAccess> {
  const config: unknown = parse(await readFile(file, 'utf8'));
  if (!isObject(config)) throw new Error(`${file} is not a kubeconfig`);
  const context = named(config, 'contexts', { name: stringAt(config, 'current-context'), field: 'context' });
  const cluster = named(config, 'clusters', { name: stringAt(context, 'cluster'), field: 'cluster' });
  const user = named(config, 'users', { name: stringAt(context, 'user'), field: 'user' });
  const url = stringAt(cluster, 'server');
  if (!url) throw new Error(`${file} names no server for its current context`);
  return {
    url: url.replace(/\/$/, ''),
    ca: await material(cluster, 'certificate-authority'),
    token: stringAt(user, 'token') ?? (await fileAt(user, 'tokenFile')),
    certificate: await material(user, 'client-certificate'),
    key: await material(user, 'client-key'),
  };
}

function named(
  config: JsonObject,
  list: string,
  { name, field }: { name: string | undefined; field: string },
): JsonObject | undefined {
  const entry = arrayAt(config, list).find((it) => isObject(it) && it['name'] === name);
  return isObject(entry) ? objectAt(entry, field) : undefined;
}

async function material(holder: JsonObject | undefined, field: string): Promise<string | undefined> {
  const data = stringAt(holder, `${field}-data`);
  return data === undefined ? fileAt(holder, field) : Buffer.from(data, 'base64').toString('utf8');
}

async function fileAt(holder: JsonObject | undefined, field: string): Promise<string | undefined> {
  const path = stringAt(holder, field);
  return path === undefined ? undefined : (await readFile(path, 'utf8')).trim();
}
