import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { forward } from '#shared/sandbox/functions/forward.ts';
import type { FunctionHosts } from '#shared/sandbox/functions/hosts.ts';

/** One request that went through: who sent it, where it went, what came back. */
export type Passed = {
  from: 'broker' | 'tick';
  to: 'process' | 'hosts' | 'nobody';
  /** Of the process. */
  port: number | undefined;
  type: string;
  /** When it came, and how long its answer took. */
  at: Date;
  seconds: number;
  status: number;
  outcome: string;
};

/** The way of one instance's events to one function. */
export type Passage = {
  /** Port of a process that gets them all instead of the function's hosts; undefined: the hosts. */
  port: number | undefined;
  /** The process gets requests only; what else is sent, such as an advance by the tick, goes to the hosts. */
  onlyRequests: boolean;
  /** The broker's redelivery of the request is acknowledged and lost; what the tick sends passes. */
  losesRequest: boolean;
  /** Those that were answered. */
  passed: Passed[];
  /** Those that were forwarded and have no answer yet. */
  underWay: ReadonlySet<Pick<Passed, 'port' | 'type'>>;
};

export type Gateway = {
  /** `<url>/<function>` for the broker. */
  url: string;
  /** The same for the tick, with `{function}`. */
  straightUrl: string;
  open(functions: FunctionHosts): void;
  /** Of the function `provision` unless another is named. */
  passageOf(instanceId: string, functionName?: string): Passage;
  stop(): Promise<void>;
};

/** The request for an operation. */
const requested = /^dev\.odoofleet\.instance\.[a-z]+\.requested$/;

/** Longer than any delivery. */
const timeoutMs = 130_000;

/** Stands between broker and tick on one side and the functions on the other, and sends an instance's events its own way. */
export async function startGateway(): Promise<Gateway> {
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const passages = new Map<string, Passage & { underWay: Set<Pick<Passed, 'port' | 'type'>> }>();
  let functions: FunctionHosts | undefined;

  async function route(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const [, straight, name = ''] = /^\/(straight\/)?([a-z-]+)/.exec(incoming.url ?? '') ?? [];
    const from = straight === undefined ? 'broker' : 'tick';
    const passage = passages.get(`${name} ${String(incoming.headers['ce-subject'])}`);
    const type = String(incoming.headers['ce-type']);
    const at = new Date();
    const note = (to: Passed['to'], outcome: string, port?: number) => {
      const seconds = (Date.now() - at.getTime()) / 1_000;
      passage?.passed.push({ from, to, port, type, at, seconds, status: outgoing.statusCode, outcome });
    };
    if (passage?.losesRequest === true && requested.test(type)) {
      incoming.resume();
      outgoing.writeHead(202).end();
      note('nobody', 'lost');
      return;
    }
    if (functions === undefined) throw new Error('the gateway is not open yet');
    const port = passage?.onlyRequests === true && !requested.test(type) ? undefined : passage?.port;
    // With a header of its own the answer keeps those it is given, so that they can be read afterwards.
    outgoing.setHeader('via', '1.1 gateway');
    const url = port === undefined ? functions.url(name) : `http://127.0.0.1:${port}/`;
    const one = { port, type };
    passage?.underWay.add(one);
    await forward(incoming, outgoing, { url, dispatcher, timeoutMs, whenLost: async () => undefined });
    passage?.underWay.delete(one);
    note(port === undefined ? 'hosts' : 'process', String(outgoing.getHeader('x-outcome') ?? ''), port);
  }

  const server = createServer((incoming, outgoing) => void route(incoming, outgoing));
  server.requestTimeout = 0;
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    straightUrl: `${url}/straight/{function}`,
    open: (opened) => {
      functions = opened;
    },
    passageOf(instanceId, functionName = 'provision') {
      const key = `${functionName} ${instanceId}`;
      const untouched = { port: undefined, onlyRequests: false, losesRequest: false };
      const passage = passages.get(key) ?? { ...untouched, passed: [], underWay: new Set() };
      passages.set(key, passage);
      return passage;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await dispatcher.destroy();
    },
  };
}
