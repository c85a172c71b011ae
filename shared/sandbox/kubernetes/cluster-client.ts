import type { Dispatcher } from 'undici';
import { Agent } from 'undici';
import type { JsonObject } from './json.ts';
import { isObject } from './json.ts';
import { readKubeconfig } from './kubeconfig.ts';

export type ClusterResponse = {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: JsonObject;
};

export type ClusterRequest = {
  body?: unknown;
  contentType?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
};

/** Plain HTTP calls to any API server a kubeconfig names, over kept connections. */
export type ClusterClient = {
  url: string;
  request(method: string, path: string, request?: ClusterRequest): Promise<ClusterResponse>;
  /** The lines of a watch, each one event, until the server ends it or `signal` aborts. */
  watch(path: string, signal: AbortSignal): Promise<AsyncGenerator<WatchEvent>>;
  close(): Promise<void>;
};

export type WatchEvent = { type: string; object: JsonObject };

export async function openClusterClient(kubeconfigFile: string): Promise<ClusterClient> {
  const access = await readKubeconfig(kubeconfigFile);
  const dispatcher = new Agent({
    // A watch may stay silent for as long as nothing happens.
    bodyTimeout: 0,
    connect: {
      ...(access.ca === undefined ? {} : { ca: access.ca }),
      ...(access.certificate === undefined ? {} : { cert: access.certificate }),
      ...(access.key === undefined ? {} : { key: access.key }),
    },
  });
  const authorization: Record<string, string> =
    access.token === undefined ? {} : { authorization: `Bearer ${access.token}` };

  function send(
    method: string,
    path: string,
    { body, contentType, headers, signal }: ClusterRequest,
  ): Promise<Dispatcher.ResponseData> {
    return dispatcher.request({
      origin: access.url,
      path,
      method: method as Dispatcher.HttpMethod,
      headers: {
        accept: 'application/json',
        ...authorization,
        ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  return {
    url: access.url,
    async request(method, path, request = {}) {
      const response = await send(method, path, request);
      return { status: response.statusCode, headers: response.headers, body: asJson(await response.body.text()) };
    },
    async watch(path, signal) {
      const response = await send('GET', path, { signal });
      if (response.statusCode !== 200)
        throw new Error(`watch of ${path}: HTTP ${response.statusCode}: ${await response.body.text()}`);
      return watchEvents(response.body);
    },
    close: () => dispatcher.destroy(),
  };
}

function asJson(text: string): JsonObject {
  if (!text.startsWith('{')) return { text };
  const value: unknown = JSON.parse(text);
  return isObject(value) ? value : {};
}

async function* watchEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as WatchEvent;
  }
}
