import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { openPublisher } from '#shared/adapters/eventing/publish.ts';
import { openResender } from '#shared/adapters/eventing/resend.ts';
import { openKillBill } from '#shared/adapters/kill-bill/client.ts';
import { openWebhookSender } from '#shared/adapters/webhook/send.ts';
import type { BenchReport } from '../report.ts';
import { median } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';

/** Fewer than any client keeps connections. */
const workers = 4;
/** A connection may be taken for busy a moment longer than its answer, so each worker comes to have two: the last of them when all begin at
 * once again. */
const warmUp = { runs: 5, calls: 200 };
const calls = 2_000;

/** A client of the product's, asked for one call. @throws when it went wrong */
type Client = { call(): Promise<void>; end(): Promise<void> };

type Sample = { newConnections: number; perCall: number; callsPerSecond: number };

/** New connections per request of every client that keeps some, after its first requests; against a client per request. */
export async function benchHttpClient(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 3;
  const server = await startServer();
  const samples: Record<string, Sample[]> = {};
  try {
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, open] of Object.entries(clients)) {
        samples[name] = [...(samples[name] ?? []), await measure(open(server.url), server)];
      }
      surroundings.say(`round ${round + 1} of ${rounds}`);
    }
  } finally {
    await server.stop();
  }
  return report(samples, rounds);
}

const clients: Record<string, (url: string) => Client> = {
  'events to a broker': (url) => {
    const publisher = openPublisher({ brokerUrl: url });
    return {
      async call() {
        const { failed } = await publisher.publish([
          { id: randomUUID(), type: 'bench', source: 'urn:bench', data: {} },
        ]);
        if (failed.length > 0) throw new Error(failed[0]?.reason);
      },
      end: () => publisher.end(),
    };
  },
  'dead events to functions': (url) => {
    const resender = openResender();
    return {
      async call() {
        const result = await resender.send(url, {
          headers: { 'content-type': 'application/json' },
          body: Buffer.from('{}'),
        });
        if (!('status' in result)) throw new Error(result.reason);
      },
      end: () => resender.end(),
    };
  },
  'messages to customers': (url) => {
    const sender = openWebhookSender({ policy: 'any' });
    return {
      async call() {
        const { error } = await sender.send({ url, headers: {}, body: '{}' });
        if (error !== null) throw new Error(error);
      },
      end: () => sender.end(),
    };
  },
  'accounts of Kill Bill': (url) => {
    const killBill = openKillBill({ url, user: 'u', password: 'p', apiKey: 'k', apiSecret: 's' });
    const account = randomUUID();
    return { call: async () => void (await killBill.read(account)), end: () => killBill.close() };
  },
  [perCallArm()]: (url) => ({
    async call() {
      const agent = new Agent();
      const { body } = await agent.request({ origin: url, path: '/', method: 'POST', body: '{}' });
      await body.dump();
      await agent.close();
    },
    end: async () => undefined,
  }),
};

function perCallArm(): string {
  return 'a client per request';
}

type CountingServer = { url: string; connections(): number; requests(): number; stop(): Promise<void> };

/** Answers as each client wants it. */
async function startServer(): Promise<CountingServer> {
  let connections = 0;
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    request.resume().on('end', () => {
      // of Kill Bill nothing is known
      response.writeHead(request.method === 'GET' ? 404 : 202, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    requests: () => requests,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function measure(client: Client, server: CountingServer): Promise<Sample> {
  for (let n = 0; n < warmUp.runs; n += 1) await run(client, warmUp.calls);
  const before = { connections: server.connections(), requests: server.requests(), atMs: performance.now() };
  await run(client, calls);
  const seconds = (performance.now() - before.atMs) / 1_000;
  const newConnections = server.connections() - before.connections;
  const requests = server.requests() - before.requests;
  await client.end();
  return { newConnections, perCall: newConnections / requests, callsPerSecond: requests / seconds };
}

/** Each worker asks when it was answered. */
async function run(client: Client, count: number): Promise<void> {
  let left = count;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await client.call();
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
}

function report(samples: Record<string, Sample[]>, rounds: number): BenchReport {
  const most = (name: string) => Math.max(...(samples[name] ?? []).map(({ perCall }) => perCall));
  const kept = Object.keys(samples).filter((name) => name !== perCallArm());
  return {
    name: 'http-client',
    about: `${calls} calls of ${workers} workers after ${warmUp.runs * warmUp.calls} to warm up, to a server on this machine that counts connections, ${rounds} rounds.`,
    tables: [
      {
        title: 'new connections, the most of the rounds; requests/s, medians',
        columns: ['client', 'new connections', 'per request', 'requests/s'],
        rows: Object.entries(samples).map(([name, all]) => [
          name,
          Math.max(...all.map(({ newConnections }) => newConnections)),
          most(name),
          median(all.map(({ callsPerSecond }) => callsPerSecond)),
        ]),
      },
    ],
    goals: kept.map((name) => ({
      what: `new connections per request in steady state: ${name}`,
      measured: most(name),
      limit: 0,
      unit: 'per call' as const,
      is: 'at most' as const,
    })),
    notes: [],
  };
}
