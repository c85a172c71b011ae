import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { request } from 'undici';
import { receive } from '#shared/adapters/eventing/receive.ts';
import { openResender } from '#shared/adapters/eventing/resend.ts';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { storeDeadEvent } from '#shared/adapters/postgres/dead-events.ts';
import { recordEvent } from '#shared/adapters/postgres/inbox.ts';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import { spoolLetter } from '#shared/runtime/dead-letter/spool.ts';
import { type DeadLetterReport, type DeadLetterUpkeep, deadLetterUpkeep } from '#shared/runtime/dead-letter/upkeep.ts';
import { replayWaits } from '#shared/runtime/dead-letter/waits.ts';
import { httpFunction } from '#shared/runtime/http-function.ts';
import { openLog } from '#shared/runtime/log.ts';
import { serve } from '#shared/runtime/serve.ts';
import { type Broker, type BrokerOptions, startBroker } from '#shared/sandbox/broker/broker.ts';
import type { Trigger } from '#shared/sandbox/manifests.ts';
import { keepDeadLetter, maxLetterBytes } from './handler.ts';

/** A function that does each event once, by the inbox, and that a test can make slow or unable. */
export type StandInFunction = {
  /** FUNCTION_URL. */
  pattern: string;
  /** Ids of what was delivered, every delivery. */
  delivered: string[];
  /** Ids of what was done, in the transaction that wrote the inbox row. */
  done: string[];
  /** Answers before anything is done; undefined does it. A promise holds the request. */
  before: () => Promise<number | undefined> | number | undefined;
  /** Waited for after it is done, before the answer. */
  after: () => Promise<void> | undefined;
};

export type World = {
  folder: string;
  spoolFolder: string;
  stop(): Promise<void>;
  standIn: StandInFunction;
  /** Serves the function dead-letter on `database` and returns its address. */
  serveDeadLetters(database: Database, options?: { timeoutMs?: number }): Promise<string>;
  startBroker(options: Partial<BrokerOptions> & { deadLetters: string }): Promise<Broker>;
  upkeep(more?: Partial<DeadLetterUpkeep>): Promise<DeadLetterReport>;
  rows(): Promise<Row<'dead_events'>[]>;
  makeDue(): Promise<unknown>;
};

export const trigger: Trigger = {
  name: 'provision',
  broker: 'fleet',
  filterAttributes: {},
  subscriber: 'provision',
  parallelism: 2,
  delivery: {
    retry: 1,
    backoff: { policy: 'linear', delayMs: 5 },
    // what is held stays held while others are published: none of it is tried again meanwhile
    timeoutMs: 60_000,
    deadLetterSink: 'dead-letter',
  },
};

/** Publishes an event, or delivers it straight to a function. */
export async function post(url: string, id: string, more: Record<string, string> = {}): Promise<number> {
  const { statusCode, body } = await request(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-source': 'urn:billing',
      'ce-type': 'dev.odoofleet.test',
      'ce-partitionkey': 'k3n5q2x7a4bc',
      ...more,
    },
    body: JSON.stringify({ number: id, exact: 'ü' }),
  });
  await body.dump();
  return statusCode;
}

/** Everything around dead letters, with the real records. */
export async function makeWorld(database: Database): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'dead-letters-'));
  const spoolFolder = join(folder, 'object-store');
  const stops: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const log = openLog({ name: 'test', level: 'silent' });
  const standIn = await startStandIn(database, stops);
  const resender = openResender({ timeoutMs: 30_000 });
  stops.push(() => resender.end());
  let brokerUrl = 'http://127.0.0.1:1/';
  return {
    folder,
    spoolFolder,
    standIn,
    async stop() {
      for (const stop of stops.toReversed()) await stop();
    },
    async serveDeadLetters(records, options = {}) {
      const spool = openDirectoryStore(spoolFolder);
      const handler = httpFunction(
        (incoming) =>
          keepDeadLetter(incoming, {
            log,
            store: (letter) => storeDeadEvent(records, letter, { waitsMs: replayWaits() }),
            spool: (letter) => spoolLetter(spool, letter),
            ...options,
          }),
        { log },
      );
      const served = await serve(handler, { port: 0, host: '127.0.0.1', log, bodyLimitBytes: maxLetterBytes });
      stops.push(() => served.drain());
      return `http://127.0.0.1:${served.port}/`;
    },
    async startBroker({ deadLetters, ...options }) {
      const broker = await startBroker({
        folder: join(folder, 'broker'),
        triggers: [trigger],
        subscriberUrl: (name) => standIn.pattern.replace('{function}', name),
        deadLetterUrl: () => deadLetters,
        ...options,
      });
      brokerUrl = broker.url;
      stops.push(() => broker.stop());
      return broker;
    },
    upkeep: (more) =>
      deadLetterUpkeep({
        database,
        holder: 'test',
        spool: openDirectoryStore(spoolFolder),
        resend: resender.send,
        brokerUrl,
        functionUrl: standIn.pattern,
        functions: ['provision'],
        // all that is due, on a busy machine too
        budgetMs: 60_000,
        onTrouble(what, error) {
          throw new Error(what, { cause: error });
        },
        ...more,
      }),
    rows: async () => (await database.query<Row<'dead_events'>>('select * from dead_events order by sequence')).rows,
    makeDue: () =>
      database.query(
        "update dead_events set next_replay_at = now() - interval '1 second' where next_replay_at is not null",
      ),
  };
}

async function startStandIn(database: Database, stops: (() => Promise<unknown>)[]): Promise<StandInFunction> {
  const standIn: StandInFunction = {
    pattern: '',
    delivered: [],
    done: [],
    before: () => undefined,
    after: () => undefined,
  };
  const server = createServer((incoming, response) => {
    void buffer(incoming).then(async (body) => {
      const { event, dataHash } = receive(incoming.headers, body, { rawHeaders: incoming.rawHeaders });
      standIn.delivered.push(event.id);
      const refusal = await standIn.before();
      if (refusal !== undefined) return response.writeHead(refusal).end();
      const { id, source, type } = event;
      const record = { id, source, type, dataHash, operationId: null, outcome: 'done' };
      const outcome = await database.transaction((transaction) => recordEvent(transaction, record));
      if (outcome === 'new') standIn.done.push(id);
      await standIn.after();
      return response.writeHead(outcome === 'other-data' ? 500 : 204).end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  standIn.pattern = `http://127.0.0.1:${(server.address() as AddressInfo).port}/{function}`;
  stops.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return standIn;
}
