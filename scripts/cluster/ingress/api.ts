import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { createInterface } from 'node:readline';

const folder = '/var/run/secrets/kubernetes.io/serviceaccount';

export type Api = {
  get(path: string): Promise<unknown>;
  patch(path: string, body: object): Promise<unknown>;
  /** Calls `each` for every event, until the server ends the watch or `signal` aborts. */
  watch(path: string, options: { each: (event: unknown) => void; signal: AbortSignal }): Promise<void>;
};

/** The API server as a pod sees it: address by environment, certificate authority and token by files. */
export function openApi(): Api {
  const ca = readFileSync(`${folder}/ca.crt`);
  const send = (method: string, path: string, options: { body?: object; signal?: AbortSignal } = {}) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const headers: Record<string, string> = {
        // The token is renewed in its file.
        authorization: `Bearer ${readFileSync(`${folder}/token`, 'utf8')}`,
        ...(options.body === undefined ? {} : { 'content-type': 'application/merge-patch+json' }),
      };
      const outgoing = request({
        host: process.env['KUBERNETES_SERVICE_HOST'],
        port: process.env['KUBERNETES_SERVICE_PORT'],
        method,
        path,
        ca,
        headers,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      outgoing.once('response', resolve).once('error', reject);
      outgoing.end(options.body === undefined ? undefined : JSON.stringify(options.body));
    });
  const call = async (method: string, path: string, body?: object): Promise<unknown> => {
    const answer = await send(method, path, body === undefined ? {} : { body });
    let text = '';
    for await (const chunk of answer.setEncoding('utf8')) text += String(chunk);
    if ((answer.statusCode ?? 0) >= 300)
      throw new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 300)}`);
    return JSON.parse(text);
  };
  return {
    get: (path) => call('GET', path),
    patch: (path, body) => call('PATCH', path, body),
    async watch(path, { each, signal }) {
      const answer = await send('GET', path, { signal });
      if (answer.statusCode !== 200) throw new Error(`watch of ${path}: ${answer.statusCode}`);
      for await (const line of createInterface({ input: answer })) each(JSON.parse(line));
    },
  };
}
