import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { insertEndpoint, rotateSecret } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { newSecret } from '#shared/domain/webhook/secret.ts';
import { openWebhookSecrets, type WebhookKeyRing } from '#shared/runtime/webhook/secrets.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { rewrapWebhookKeys, webhookKeyStatus } from './webhook-keys.ts';

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
const keys = { k1: randomBytes(32).toString('base64'), k2: randomBytes(32).toString('base64') };
let folder: string;
let rings = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-webhook-keys-'));
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
  await insertCatalogue(records());
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => records().query('truncate webhook_endpoints cascade'));

/** A ring as it is in the file that WEBHOOK_KEYS_FILE names. */
async function ringOf(current: keyof typeof keys, ids = Object.keys(keys)): Promise<WebhookKeyRing & { file: string }> {
  rings += 1;
  const file = join(folder, `ring-${rings}.json`);
  const held = Object.fromEntries(Object.entries(keys).filter(([id]) => ids.includes(id)));
  await writeFile(file, JSON.stringify({ current, keys: held }), { mode: 0o600 });
  return { ...openWebhookSecrets({ webhookKeysFile: file }), file };
}

async function addEndpoint(ring: WebhookKeyRing, secret = newSecret()): Promise<{ id: string; secret: Buffer }> {
  const id = newOperationId();
  const wrapped = await ring.wrap(secret, id);
  const endpoint = { id, customerId: `c-${id}`, url: 'https://a.example', description: '', types: [], secret: wrapped };
  await insertEndpoint(records(), endpoint, { actor: 'test' });
  return { id, secret };
}

async function rotate(ring: WebhookKeyRing, id: string, secret: Buffer): Promise<void> {
  const wrapped = await ring.wrap(secret, id);
  await rotateSecret(records(), { id, customerId: null }, { secret: wrapped, overlapHours: 24, actor: 'test' });
}

type Kept = { secret: string; previous_secret: string | null; generation: number };
async function kept(id: string): Promise<Kept> {
  const { rows } = await records().query<Kept>('select * from webhook_endpoints where id = $1', [id]);
  const [row] = rows;
  if (row === undefined) throw new Error('there is an endpoint');
  return row;
}
const silent = () => undefined;

test('a key goes out of use by a rewrap, and then the ring can do without it: all secrets are what they were', async () => {
  const before = await ringOf('k1', ['k1']);
  const one = await addEndpoint(before);
  const two = await addEndpoint(before);
  const second = newSecret();
  await rotate(before, two.id, second);
  const ring = await ringOf('k2');
  expect((await webhookKeyStatus(records(), ring)).lines).toEqual([
    'k1  wraps 2 secrets, 1 secret of before a rotation: run "webhook-keys rewrap"',
    'k2  current: wraps 0 secrets',
  ]);
  const said: string[] = [];
  const { generation } = await kept(two.id);
  const done = await rewrapWebhookKeys(records(), ring, (line) => void said.push(line));
  expect(done).toMatchObject({ json: { current: 'k2', rewrapped: 3, closed: [] }, isDone: true });
  expect(said).toEqual(['2 endpoints looked at, 3 secrets rewrapped']);
  expect((await rewrapWebhookKeys(records(), ring, silent)).json).toMatchObject({ rewrapped: 0 });
  expect((await webhookKeyStatus(records(), ring)).lines).toEqual([
    expect.stringMatching(/^k1 {2}not needed any more: it can be taken out/),
    'k2  current: wraps 2 secrets, 1 secret of before a rotation',
  ]);

  const after = await ringOf('k2', ['k2']);
  const open = (wrapped: string | null, id: string) => after.unwrap(wrapped ?? '', id);
  const rotated = await kept(two.id);
  expect((await open((await kept(one.id)).secret, one.id)).equals(one.secret)).toBe(true);
  expect((await open(rotated.secret, two.id)).equals(second)).toBe(true);
  expect((await open(rotated.previous_secret, two.id)).equals(two.secret)).toBe(true);
  // nothing that its customer has seen is another: his If-Match still holds
  expect(rotated.generation).toBe(generation);
});

test('secrets whose time is over keep no key in the ring, and those that cannot be opened keep nobody else', async () => {
  const before = await ringOf('k1', ['k1']);
  const over = await addEndpoint(before);
  await rotate(await ringOf('k2'), over.id, newSecret());
  await records().query(`update webhook_endpoints set previous_until = now() - interval '1 hour'`);
  const ring = await ringOf('k2', ['k2']);
  expect((await webhookKeyStatus(records(), ring)).lines).toEqual(['k2  current: wraps 1 secret']);

  const closed = await addEndpoint(before);
  await expect(webhookKeyStatus(records(), ring)).rejects.toThrow('no key k1, which wraps 1 secret of endpoints');
  const damaged = await addEndpoint(before);
  const well = await addEndpoint(before);
  await records().query(
    'update webhook_endpoints set secret = (select secret from webhook_endpoints where id = $2) where id = $1',
    [damaged.id, closed.id],
  );
  const done = await rewrapWebhookKeys(records(), await ringOf('k2'), silent);
  expect(done).toMatchObject({ json: { rewrapped: 2, closed: [{ endpoint: damaged.id }] }, isDone: false });
  expect(done.lines.join()).toContain(`Endpoint ${damaged.id} was left as it is: A wrapped key was altered`);
  expect((await ring.unwrap((await kept(well.id)).secret, well.id)).equals(well.secret)).toBe(true);
});

test('a secret of before a rotation that cannot be opened does not keep the live one under its old key', async () => {
  const before = await ringOf('k1', ['k1']);
  const { id } = await addEndpoint(before);
  const live = newSecret();
  await rotate(before, id, live);
  await records().query(`update webhook_endpoints set previous_secret = replace(previous_secret, 'w1.k1.', 'w1.k0.')`);
  const done = await rewrapWebhookKeys(records(), await ringOf('k2'), silent);
  expect(done).toMatchObject({ json: { rewrapped: 1, closed: [{ endpoint: id, which: 'previous' }] }, isDone: false });
  expect(done.lines).toEqual([
    '1 secret of endpoints were wrapped anew, by k2.',
    expect.stringContaining(`Endpoint ${id}: its secret of before a rotation was left as it is`),
    'k0 still wraps 1 secret.',
  ]);
  const after = await ringOf('k2', ['k2']);
  expect((await after.unwrap((await kept(id)).secret, id)).equals(live)).toBe(true);
  await records().query(`update webhook_endpoints set previous_until = now() - interval '1 hour'`);
  expect(await rewrapWebhookKeys(records(), after, silent)).toMatchObject({ isDone: true });
});

test('a secret that its customer rotates while it is wrapped anew is his new one', async () => {
  const { id } = await addEndpoint(await ringOf('k1', ['k1']));
  const ring = await ringOf('k2');
  const fresh = newSecret();
  const done = await rewrapWebhookKeys(
    records(),
    {
      ...ring,
      rewrap: async (wrapped, endpointId) => {
        const rewrapped = await ring.rewrap(wrapped, endpointId);
        await rotate(ring, id, fresh);
        return rewrapped;
      },
    },
    silent,
  );
  expect(done).toMatchObject({ json: { rewrapped: 0 }, isDone: false });
  expect(done.lines).toContain('k1 still wraps 1 secret: run it again.');
  expect((await ring.unwrap((await kept(id)).secret, id)).equals(fresh)).toBe(true);
  // the one before is still wrapped by the old key: the next run comes to it
  expect(await rewrapWebhookKeys(records(), ring, silent)).toMatchObject({ json: { rewrapped: 1 }, isDone: true });
});

test('killed in the middle, it is gone on with by the next run, and no secret is lost', async () => {
  const before = await ringOf('k1', ['k1']);
  const ring = await ringOf('k2');
  const count = 1_200;
  const secrets = new Map<string, Buffer>();
  for (let n = 0; n < count; n += 1) {
    const id = newOperationId();
    secrets.set(id, newSecret());
  }
  const ids = [...secrets.keys()];
  await records().query(`insert into customers (id) values ('c-many') on conflict do nothing`);
  await records().query(
    `insert into webhook_endpoints (id, customer_id, url, secret)
     select id, 'c-many', 'https://a.example', secret from unnest($1::uuid[], $2::text[]) as one (id, secret)`,
    [ids, await Promise.all(ids.map((id) => before.wrap(secrets.get(id) ?? Buffer.alloc(0), id)))],
  );
  const rewrapped = async () => {
    const text = `select count(*)::integer as count from webhook_endpoints where secret like 'w1.k2.%'`;
    return (await records().query<{ count: number }>(text)).rows[0]?.count ?? 0;
  };
  const env = { ...platformSettings(made(), join(folder, 'password')), WEBHOOK_KEYS_FILE: ring.file };
  // It does not come to its end before it is killed: somebody holds the last two, of which one may be on its way.
  const killInTheMiddle = async (holder: Queryable) => {
    await holder.query('select from webhook_endpoints where id = any($1) for update', [ids.toSorted().slice(-2)]);
    const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), 'webhook-keys', 'rewrap'], {
      env: { PATH: process.env['PATH'], ...env },
      stdio: 'ignore',
    });
    const isEnded = once(child, 'exit');
    await vi.waitFor(async () => expect(await rewrapped()).toBeGreaterThan(0), 30_000);
    child.kill('SIGKILL');
    await isEnded;
  };
  await records().transaction(killInTheMiddle, { idleTimeoutMs: 60_000 });
  const others = `select from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`;
  await expect.poll(async () => (await records().query(others)).rowCount, { timeout: 15_000 }).toBe(0);
  const left = count - (await rewrapped());
  expect(left).toBeGreaterThan(0);
  expect((await rewrapWebhookKeys(records(), ring, silent)).json).toMatchObject({ rewrapped: left, closed: [] });
  const { rows } = await records().query<{ id: string; secret: string }>('select id, secret from webhook_endpoints');
  const after = await ringOf('k2', ['k2']);
  for (const { id, secret } of rows) {
    expect((await after.unwrap(secret, id)).equals(secrets.get(id) ?? Buffer.alloc(0))).toBe(true);
  }
  expect(rows).toHaveLength(count);
});
