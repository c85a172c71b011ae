import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { openProcessGroup } from '#shared/sandbox/processes.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';
import { accept, backupOrder, inFolder, runBackup, runVerify } from './backup.fixture.ts';
import { backUp } from './backup.ts';
import { dropTestDatabase, makeTenant, type Tenant } from './tenant.fixture.ts';

let folder: string;
let store: ObjectStore;
let tenant: Tenant;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-faults-'));
  store = openDirectoryStore(join(folder, 'store'));
  tenant = await makeTenant(folder, { partners: 20_000 });
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => new Error('it succeeded'),
    (caught: unknown) => caught,
  );
  return asFailure(error);
}

/** Nothing that could be taken for a result. */
async function expectNoResult(prefix: string): Promise<void> {
  const { keys } = await store.list({ prefix });
  expect(keys.filter((key) => !key.endsWith('/progress') && !key.endsWith('/dump'))).toEqual([]);
}

describe('a backup while the object store fails', () => {
  const full = () => Promise.reject(new Failure('no-capacity', 'The object store is full.'));

  it('ends with what the store says when it is full', async () => {
    const order = backupOrder(tenant);
    const failure = await failureOf(runBackup(order, { ...store, write: full }));
    expect(failure).toMatchObject({ code: 'no-capacity' });
    await expectNoResult(order.prefix);
  });

  it('ends with it when the store refuses in the middle of the dump, and stops reading the database', async () => {
    const order = backupOrder(tenant);
    const breaking: ObjectStore = {
      ...store,
      async write(_key, bytes) {
        for await (const piece of bytes) if (piece.length > 0) break;
        throw new Failure('unavailable', 'The object store closed the connection.');
      },
    };
    expect(await failureOf(runBackup(order, breaking))).toMatchObject({ code: 'unavailable' });
    await expectNoResult(order.prefix);
    const left = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    await expect
      .poll(async () => (await tenant.asSuperuser((c) => c.query(left))).rows, { timeout: 10_000 })
      .toEqual([{ n: 0 }]);
  });

  it('goes on when one call for a file is refused, and only then', async () => {
    let refusals = 0;
    const moody: ObjectStore = {
      ...store,
      async write(key, bytes, options) {
        if (key.startsWith('files/') && refusals++ === 0) throw new Failure('unavailable', 'Slow down.');
        return await store.write(key, bytes, options);
      },
    };
    const backup = await runBackup(backupOrder(tenant), moody);
    expect(refusals).toBeGreaterThan(4);
    expect(await runVerify(backup, store)).toMatchObject({ differences: [] });
  });

  it('is right when the store is slow, and while its progress cannot be written', async () => {
    const said: string[] = [];
    const slow: ObjectStore = {
      ...store,
      async put(key, bytes, options) {
        if (key.endsWith('/progress')) throw new Failure('unavailable', 'Slow down.');
        return await store.put(key, bytes, options);
      },
      async write(key, bytes, options) {
        async function* slowly() {
          for await (const piece of bytes) {
            await new Promise((resolve) => setTimeout(resolve, 20));
            yield piece;
          }
        }
        return await store.write(key, slowly(), options);
      },
    };
    const order = backupOrder(tenant);
    const signal = new AbortController().signal;
    await inFolder((work) => backUp(order, { store: slow, folder: work, signal, say: (line) => said.push(line) }));
    expect(said).toEqual(['The progress could not be written: Slow down.']);
    expect(await runVerify(await accept(order, store), store)).toMatchObject({ differences: [] });
  });

  it('is found wrong by its verification when the store says 200 and loses the tail', async () => {
    const losing: ObjectStore = {
      ...store,
      async write(key, bytes, options) {
        const written = await store.write(key, bytes, options);
        const whole = (await store.get(key)) ?? Buffer.alloc(0);
        await store.put(key, whole.subarray(0, -1_000));
        return written;
      },
    };
    const backup = await runBackup(backupOrder(tenant), losing);
    const { differences } = await runVerify(backup, store);
    expect(differences.join()).toMatch(/\/dump is not what was written/);
  });
});

describe('a verification that cannot be made', () => {
  it('says so, and not that the backup is wrong', async () => {
    const backup = await runBackup(backupOrder(tenant), store);
    const away = () => Promise.reject(new Failure('unavailable', 'The object store cannot be reached.'));
    expect(await failureOf(runVerify(backup, { ...store, read: away }))).toMatchObject({ code: 'unavailable' });
    const database = { ...tenant.access, port: 1, database: 'none', user: 'none' };
    expect(await failureOf(runVerify(backup, store, { database }))).toMatchObject({ code: 'unavailable' });
  });

  it('does not restore over what is there', async () => {
    const backup = await runBackup(backupOrder(tenant), store);
    const failure = await failureOf(runVerify(backup, store, { database: tenant.access }));
    expect(failure).toMatchObject({ code: 'misconfigured' });
    expect(failure.message).toMatch(/is not empty/);
  });
});

describe('PostgreSQL', () => {
  it('going away in the middle of a dump ends the backup, which leaves nothing that counts', async () => {
    const order = backupOrder(tenant);
    let isKilled = false;
    const killing: ObjectStore = {
      ...store,
      async write(key, bytes, options) {
        async function* watched() {
          for await (const piece of bytes) {
            if (!isKilled) {
              isKilled = true;
              const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
              await tenant.asSuperuser((client) => client.query(kill));
            }
            yield piece;
          }
        }
        return await store.write(key, watched(), options);
      },
    };
    const failure = await failureOf(runBackup(order, killing));
    expect(['unavailable', 'job-failed']).toContain(failure.code);
    await expectNoResult(order.prefix);
    const again = await runBackup(backupOrder(tenant, { backupId: order.backupId, attempt: 2 }), store);
    expect(await runVerify(again, store)).toMatchObject({ differences: [] });
  });

  it('of a newer major version than pg_dump is refused before anything is written', async () => {
    const processes = await openProcessGroup();
    onTestFinished(() => processes.stopAll());
    const server = await startPostgres({ processes, folder, name: 'newer', version: 'embedded', durable: false });
    await asSuperuser(server, (client) => client.query(`CREATE ROLE newer LOGIN PASSWORD 'newer'`));
    const { host, port } = server;
    const database = { host, port, user: 'newer', password: 'newer', database: 'postgres', sslMode: 'disable' };
    const order = { ...backupOrder(tenant), database };
    const failure = await failureOf(runBackup(order, store));
    expect(failure).toMatchObject({ code: 'misconfigured' });
    expect(failure.message).toMatch(
      /pg_dump 1\d\.\d+, the server is PostgreSQL 18.* must be of major version 18 or newer/,
    );
    await expectNoResult(order.prefix);
  });
});

describe('a backup while users write', () => {
  it('names no attachment whose file it has not, and all that it holds is of one moment', async () => {
    let isOver = false;
    const writer = tenant.asSuperuser(async (client) => {
      for (let n = 0; !isOver; n += 1) {
        // as Odoo: the file first, then the row that names it, both in a transaction with another row
        await client.query('BEGIN');
        await tenant.attach(client, `written meanwhile ${n}`);
        await client.query(`INSERT INTO res_partner (name) VALUES ($1)`, [`meanwhile ${n}`]);
        await client.query('COMMIT');
      }
    });
    try {
      await expect
        .poll(async () => (await tenant.asSuperuser((c) => c.query('SELECT FROM ir_attachment'))).rowCount, {
          timeout: 15_000,
        })
        .toBeGreaterThan(20);
      for (let round = 0; round < 2; round += 1) {
        const backup = await runBackup(backupOrder(tenant), store);
        const { tables, attachments } = backup.content.contents;
        const partners = tables.find(({ name }) => name === 'public.res_partner')?.rows ?? 0;
        expect(partners - 20_000).toBe(attachments.count - 6);
        expect(await runVerify(backup, store)).toMatchObject({ differences: [] });
      }
    } finally {
      isOver = true;
      await writer;
    }
  });
});
