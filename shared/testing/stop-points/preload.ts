/**
 * Loaded before a function's own program (`node --import`), in tests only: numbers the points at which the process can
 * be lost around its outbound calls, and ends or stops it at one of them. The points are not placed by hand: they are
 * hooks in the drivers that every call goes through. A connection's own set-up is left out: it changes nothing.
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { openCounter, type Stop } from './counter.ts';
import { folderVariable, pointsFile, stopFile } from './folder.ts';
import { databaseName, requestName, statementName } from './names.ts';

const folder = process.env[folderVariable];
if (folder === undefined) throw new Error(`${folderVariable} is not set: it names the folder of the stop points.`);

/** Longer than the kernel takes to deliver a signal to a process with several threads. */
const settleMs = 100;

const counter = openCounter({
  stops: claimStops(folder),
  record: (point) => appendFileSync(join(folder, pointsFile), `${JSON.stringify(point)}\n`),
  halt(signal) {
    process.kill(process.pid, signal);
    // Not one more instruction of the program may run before the signal arrives.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, settleMs);
  },
});

function claimStops(place: string): readonly Stop[] {
  const mine = join(place, `${stopFile}.${process.pid}`);
  try {
    renameSync(join(place, stopFile), mine);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return JSON.parse(readFileSync(mine, 'utf8')) as Stop[];
}

// What a process does before its first event (a readiness check) belongs to no operation.
subscribe('http.server.request.start', (message) => {
  const { request } = message as { request: { headers: Record<string, unknown> } };
  if (request.headers['ce-type'] !== undefined) counter.arm();
});

type Query = (this: pg.Client & { database?: string }, ...args: unknown[]) => unknown;
const client = pg.Client.prototype as unknown as { query: Query };
const query = client.query;

client.query = function queryWithStopPoints(...args) {
  const [config] = args;
  const text = typeof config === 'string' ? config : ((config as { text?: string } | undefined)?.text ?? '');
  const name = `${databaseName(this.database)}: ${statementName(text)}`;
  counter.pass(`${name} before`);
  const answer = query.apply(this, args);
  if (!(answer instanceof Promise)) return answer;
  // The driver gives the bytes to the kernel before it returns.
  counter.pass(`${name} sent`);
  return answer.then(
    (result: unknown) => {
      counter.pass(`${name} answered`, rowsOf(result));
      return result;
    },
    (error: unknown) => {
      counter.pass(`${name} answered`, `error ${(error as { code?: string }).code ?? (error as Error).name}`);
      throw error;
    },
  );
};

function rowsOf(result: unknown): string {
  const results = (Array.isArray(result) ? result : [result]) as { rowCount: number | null }[];
  return `rows ${results.map(({ rowCount }) => rowCount ?? '-').join(' ')}`;
}

type HttpRequest = { method: string; path: string };
const statuses = new WeakMap<HttpRequest, number>();

function onRequest(channel: string, passed: (request: HttpRequest, message: object) => void): void {
  subscribe(`undici:request:${channel}`, (message) =>
    passed((message as { request: HttpRequest }).request, message as object),
  );
}

const nameOf = ({ method, path }: HttpRequest) => requestName(method, path);

onRequest('create', (request) => counter.pass(`${nameOf(request)} before`));
// Told when header and body are with the kernel, for requests without a body too.
onRequest('bodySent', (request) => counter.pass(`${nameOf(request)} sent`));
onRequest('headers', (request, message) => {
  statuses.set(request, (message as { response: { statusCode: number } }).response.statusCode);
});
onRequest('trailers', (request) => counter.pass(`${nameOf(request)} answered`, `status ${statuses.get(request)}`));
onRequest('error', (request, message) => {
  const { error } = message as { error: { code?: string; name: string } };
  counter.pass(`${nameOf(request)} answered`, `error ${error.code ?? error.name}`);
});
