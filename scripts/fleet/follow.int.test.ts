import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import { insertBackup, insertPlacedInstance } from '#shared/adapters/postgres/backup-records.fixture.ts';
import { certifyDeletion } from '#shared/adapters/postgres/deletion-records.ts';
import { insertOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { openExportLink } from '#shared/domain/backup/export-link.ts';
import { parseKeyRing, ringSigner } from '#shared/domain/backup/key-ring.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { exampleOperation } from '#shared/testing/examples.ts';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { progressLine } from './follow.ts';
import { runFleet } from './main.ts';

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
type Sent = { type: string; id: string; source: string; data: Record<string, unknown> };
let folder: string;
let broker: Server;
let brokerUrl: string;
let instanceId: string;
/** What a function does with a request. */
let onRequest: (sent: Sent) => Promise<void>;
let sent: Sent[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-follow-'));
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
  const ring = { current: 'k1', keys: { k1: randomBytes(32).toString('base64') } };
  await writeFile(join(folder, 'ring'), JSON.stringify(ring), { mode: 0o600 });
  await insertCatalogue(records());
  await insertServer(records(), { id: 'one', maxInstances: 10 });
  instanceId = await insertPlacedInstance(records(), 1);
  const receive = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const header = (name: string) => String(request.headers[`ce-${name}`]);
    const event = { type: header('type'), id: header('id'), source: header('source') };
    sent.push({ ...event, data: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown> });
    // before the answer: the program waits for it, and finds what has become of the request
    await onRequest(sent.at(-1) as Sent);
    response.writeHead(202).end();
  };
  broker = createServer((request, response) => void receive(request, response)).listen(0, '127.0.0.1');
  await once(broker, 'listening');
  brokerUrl = `http://127.0.0.1:${(broker.address() as AddressInfo).port}/`;
});
afterAll(async () => {
  broker.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  sent = [];
  onRequest = async () => undefined;
});

async function fleet(args: string[], change: Record<string, string> = {}, onProgress = (_line: string) => {}) {
  const out: string[] = [];
  const errors: string[] = [];
  const progress: string[] = [];
  const env = {
    ...platformSettings(made(), join(folder, 'password')),
    BROKER_URL: brokerUrl,
    BACKUP_KEYS_FILE: join(folder, 'ring'),
    ...change,
  };
  const code = await runFleet(args, env, {
    print: (line) => void out.push(line),
    printError: (line) => void errors.push(line),
    progress(line) {
      if (line === undefined) return;
      progress.push(line);
      onProgress(line);
    },
  });
  return { code, out: out.join('\n'), errors: errors.join('\n'), progress: [...new Set(progress)] };
}

/** As a function does: the event is taken, and an operation is what it came to. */
async function accept(event: Sent, kind: 'backup' | 'verify' | 'restore' | 'clone'): Promise<string> {
  const id = newOperationId();
  const common = { id, instanceId, kind, definitionVersion: 1, deadlineMs: 60_000, idempotencyKey: id };
  await insertOperation(records(), { ...common, requestedBy: event.source, cause: event.id, request: {} });
  await inbox(event, { operationId: id, outcome: 'accepted' });
  return id;
}

async function inbox(event: Sent, { operationId, outcome }: { operationId: string | null; outcome: string }) {
  const values = [event.source, event.id, event.type, Buffer.alloc(32), operationId, outcome];
  const text = 'insert into inbox (source, id, type, data_hash, operation_id, outcome) values ($1, $2, $3, $4, $5, $6)';
  await records().query(text, values);
}

/** Both at once, as an operation's end is written. */
async function end(id: string, state: 'succeeded' | 'failed', said: Record<string, unknown> = {}): Promise<void> {
  const error = state === 'failed' ? `, error_code = 'job-failed', error_text = 'The store is full.'` : '';
  await records().transaction(async (transaction) => {
    await transaction.query(
      `update operations set state = $2, finished_at = clock_timestamp(), next_check_at = null${error} where id = $1`,
      [id, state],
    );
    if (state === 'failed') return;
    const data = { operation: id, instance: instanceId, ...said };
    const text = `insert into outbox (id, type, source, data, extensions, published_at) values ($1, 'x.succeeded', 'x', $2, '{}', now())`;
    await transaction.query(text, [randomUUID(), JSON.stringify(data)]);
  });
}

test('what is asked for is sent at once, followed to its end, and told with what its event says', async () => {
  let id = '';
  onRequest = async (event) => {
    id = await accept(event, 'backup');
    const progress = JSON.stringify({ phase: 'dump', done: 1024, total: 4096, unit: 'bytes' });
    await records().query(`update operations set progress = $2, step = 'make-backup' where id = $1`, [id, progress]);
  };
  let ended: Promise<void> | undefined;
  const onProgress = (line: string) => {
    if (line.includes('make-backup')) ended ??= end(id, 'succeeded', { backup: id, dumpbytes: 4096 });
  };
  const asked = ['backup', instanceId, '--reason', 'Before the import'];
  const { code, out, progress } = await fleet(asked, {}, onProgress);
  await ended;
  expect(code).toBe(0);
  expect(sent).toMatchObject([
    {
      type: 'dev.odoofleet.instance.backup.requested',
      source: 'urn:odoo-fleet',
      data: { instance: instanceId, kind: 'manual', reason: 'Before the import' },
    },
  ]);
  expect(out).toMatch(
    new RegExp(`^The backup, operation ${id}, is done after [\\d.]+ s\\.\nbackup +${id}\ndumpbytes +4096$`),
  );
  expect(progress.join('\n')).toMatch(/backup \d+ s: make-backup, dump 1\.0 KiB of 4\.0 KiB \(25 %\)/);
});

test('a failure is exit code 1, as lines and as JSON', async () => {
  onRequest = async (event) => end(await accept(event, 'verify'), 'failed');
  const plain = await fleet(['verify', instanceId, '--boot']);
  expect(plain).toMatchObject({ code: 1, out: expect.stringContaining('failed: The store is full. (job-failed)') });
  expect(sent[0]?.data).toMatchObject({ boot: true });
  const json = await fleet(['verify', instanceId, '--no-boot', '--json']);
  expect(json.code).toBe(1);
  expect(JSON.parse(json.out)).toMatchObject({ kind: 'verify', state: 'failed', error: { code: 'job-failed' } });
  expect(sent[1]?.data).toMatchObject({ boot: false });
});

test('a refusal is told with its reason, and is exit code 1', async () => {
  onRequest = async (event) => {
    const detail = { event: event.id, code: 'terminated', text: 'Instance x is terminated.' };
    await appendAudit(records(), { actor: event.source, action: 'restore.refused', instanceId, detail });
    await inbox(event, { operationId: null, outcome: 'refused: terminated' });
  };
  const refused = await fleet(['restore', instanceId, newOperationId(), '--yes']);
  expect(refused).toMatchObject({ code: 1, errors: 'Instance x is terminated.' });
});

test('whoever does not want to wait does not, and can go on watching later', async () => {
  let id = '';
  onRequest = async (event) => void (id = await accept(event, 'clone'));
  const asked = await fleet(['clone', instanceId, 'acme-staging', '--wait-seconds', '2', '--json']);
  expect(asked.code).toBe(0);
  expect(JSON.parse(asked.out)).toMatchObject({ operation: id, state: 'queued' });
  expect(sent[0]?.data).toMatchObject({ source: instanceId, name: 'acme-staging', instance: expect.any(String) });
  await end(id, 'succeeded', { url: 'https://acme-staging.example' });
  const { code, out } = await fleet(['follow', id]);
  expect([code, out]).toEqual([0, expect.stringContaining('https://acme-staging.example')]);
});

test('a broker that is away keeps nothing from being asked for: it waits in the outbox', async () => {
  const away = await fleet(['backup', instanceId, '--wait-seconds', '0'], { BROKER_URL: 'http://127.0.0.1:1/' });
  expect(away).toMatchObject({ code: 0, errors: 'The broker did not take the request: the tick sends it.' });
  expect(away.out).toContain('nobody has taken it yet');
  const { rows } = await records().query('select type from outbox where published_at is null');
  expect(rows).toEqual([{ type: 'dev.odoofleet.instance.backup.requested' }]);
  await records().query('update outbox set published_at = now()');
});

test('an undo names the restore that was exchanged last, however it ended; without one there is nothing to undo', async () => {
  await records().query(`delete from operations where kind = 'restore'`);
  expect(await fleet(['undo', instanceId])).toMatchObject({
    code: 1,
    errors: expect.stringContaining('nothing to undo'),
  });
  const backup = await insertBackup(records(), instanceId);
  /** What a restore took out, so many hours ago. */
  const keep = (id: string, hoursAgo: number) =>
    records().query(
      `insert into restores (id, instance_id, server_id, backup_id, state, round, job_key, switched_at, finished_at, keep_until)
       select $1, i.id, i.db_server_id, $4, 'succeeded', 1, 'wrapped', now() - make_interval(hours => $3::integer), now(),
         now() + interval '1 day' from instances i where i.id = $2`,
      [id, instanceId, hoursAgo, backup],
    );
  const [older, newest, undone] = [newOperationId(), newOperationId(), newOperationId()];
  await keep(older, 48);
  // its operation has failed since: what it brought did not come up
  await keep(newest, 2);
  await keep(undone, 1);
  await records().query('update restores set taken_back_by = $2 where id = $1', [undone, newest]);
  onRequest = async (event) => end(await accept(event, 'restore'), 'succeeded');
  expect((await fleet(['undo', instanceId, '--yes'])).code).toBe(0);
  expect(sent.at(-1)?.data).toMatchObject({ undoes: newest });
  expect(sent.at(-1)?.data).not.toHaveProperty('backup');
});

test('a wrong call sends nothing and is exit code 2', async () => {
  for (const args of [
    ['backup', 'not-an-id'],
    ['backup', instanceId, '--kind', 'yearly'],
    ['backup', instanceId, '--boot'],
    ['restore', instanceId],
    ['verify', instanceId, '--wait-seconds', 'long'],
    ['import', 'file.zip', 'acme'],
    ['import', '/not/there.zip', 'acme', '--customer', 'c-1', '--plan', 'small', '--owner', 'a@b.example'],
  ]) {
    expect(await fleet(args), args.join(' ')).toMatchObject({ code: 2 });
  }
  expect(sent).toEqual([]);
});

test('a certificate is shown with its signature looked at; one of a purge that never was is not', async () => {
  expect(await fleet(['certificates', 'show', instanceId])).toMatchObject({ code: 1 });
  const ring = parseKeyRing(await readFile(join(folder, 'ring'), 'utf8'));
  const operation = exampleOperation({ kind: 'purge', instanceId, request: { withoutbackup: true } });
  await records().transaction((transaction) =>
    certifyDeletion(
      transaction,
      operation,
      ringSigner(() => ring),
    ),
  );
  const { code, out } = await fleet(['certificates', 'show', instanceId]);
  expect(code).toBe(0);
  expect(out).toMatch(/^signature +right \(key k1\)$/m);
  expect(out).toMatch(/^proof +none: asked for without a backup$/m);
  const blind = await fleet(['certificates', 'show', instanceId, '--json'], { BACKUP_KEYS_FILE: '' });
  expect(JSON.parse(blind.out)).toMatchObject({ certificates: [{ signature: 'unchecked', keyId: 'k1' }] });
  const other = JSON.stringify({ current: 'k1', keys: { k1: randomBytes(32).toString('base64') } });
  await writeFile(join(folder, 'other'), other, { mode: 0o600 });
  const refused = await fleet(['certificates', 'show', instanceId], { BACKUP_KEYS_FILE: join(folder, 'other') });
  expect(refused).toMatchObject({ code: 1, errors: expect.stringContaining('was altered') });
});

test('the link to an export is made with the ring; of one whose time is over there is none', async () => {
  const backup = await insertBackup(records(), instanceId);
  const id = newOperationId();
  await records().query(
    `insert into exports (id, instance_id, backup_id, state, round, archive_key, finished_at, object_key, bytes, sha256,
       files, expires_at)
     values ($1, $2, $3, 'ready', 1, 'wrapped', now(), 'exports/x', 9, $4, 1, now() + interval '1 hour')`,
    [id, instanceId, backup, 'ab'.repeat(32)],
  );
  const { code, out } = await fleet(['exports', 'link', id], { DOWNLOAD_URL: 'https://downloads.example' });
  expect(code).toBe(0);
  const ring = parseKeyRing(await readFile(join(folder, 'ring'), 'utf8'));
  const [link = ''] = out.split('\n');
  expect(
    openExportLink(
      new URL(link).pathname,
      ringSigner(() => ring),
    ),
  ).toMatchObject({ exportId: id });
  expect((await fleet(['exports', 'link', id])).code).toBe(2);
  await records().query('update exports set expires_at = now() where id = $1', [id]);
  expect(await fleet(['exports', 'link', id, 'https://downloads.example'])).toMatchObject({ code: 1 });
});

test('progress is one line, whatever is known of it', () => {
  const row = { kind: 'backup', state: 'waiting', step: 'dump', waiting_for: 'Job x', progress: null, seconds: 61.9 };
  expect(progressLine(row)).toBe('backup 61 s: dump, Job x');
  const files = { phase: 'files', done: 3, total: null, unit: 'files' };
  expect(progressLine({ ...row, progress: files, step: null })).toBe('backup 61 s: files 3 files');
});
