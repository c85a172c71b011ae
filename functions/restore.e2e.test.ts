import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { dropFile, keepFile, liveFiles } from '#shared/testing/filestore.ts';
import { startTestFleet, type TestFleet, until, untilWarm, userService } from '#shared/testing/fleet.ts';
import { listObjectsAtRest, queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { carryOut, instanceSeen, pageAnswers, runningInstance } from '#shared/testing/life.ts';
import { ask, ended, type HeldWorker, heldWorker, inDatabase, said } from './backup.fixture.ts';

let worker: HeldWorker;
let fleet: TestFleet;
let end: () => Promise<void>;

beforeAll(async () => {
  worker = await heldWorker();
  ({ fleet, end } = await startTestFleet({ worker: worker.image }));
  await untilWarm(fleet);
});
afterEach(() => worker.letGo());
afterAll(async () => {
  await end?.();
  await worker?.end();
});

const mark = (id: string, name: string) =>
  inDatabase(fleet, `odoo_${id}`, `insert into res_partner (name) values ('${name}')`);

async function marksOf(id: string): Promise<string[]> {
  const text = `select name from res_partner where name like 'mark %' order by id`;
  return (await inDatabase<{ name: string }>(fleet, `odoo_${id}`, text)).map(({ name }) => name);
}

const filesOf = (id: string) => liveFiles(fleet, id, 'file ');

async function parameter(id: string, key: string): Promise<string | undefined> {
  const text = `select value from ir_config_parameter where key = '${key}'`;
  return (await inDatabase<{ value: string }>(fleet, `odoo_${id}`, text))[0]?.value;
}

async function backedUp(id: string): Promise<string> {
  const backup = await ask(fleet, 'backup', id);
  expect(await ended(fleet, backup)).toMatchObject({ state: 'succeeded', error_text: null });
  return backup;
}

async function carriedOut(id: string, data: Record<string, unknown>): Promise<string> {
  const operation = await ask(fleet, 'restore', id, data);
  expect(await ended(fleet, operation)).toMatchObject({ state: 'succeeded', error_text: null });
  return operation;
}

/** Databases and roles of the instance besides the live ones, and objects of its Jobs. */
async function besides(id: string): Promise<string[]> {
  const found = await queryAsSuperuser<{ name: string }>(
    fleet.servers.odoo,
    `select datname as name from pg_database where datname ~ '${id}' and datname <> 'odoo_${id}'
     union all select rolname from pg_roles where rolname ~ '${id}' and rolname not in ('odoo_${id}', 'odoo_${id}_owner')`,
  );
  const objects = await listObjectsAtRest(fleet.cluster);
  const isWorkers = new RegExp(`^odoo-${id}-(backup|load|swap)-`);
  const jobs = objects.filter(({ name }) => isWorkers.test(name)).map(({ kind, name }) => `${kind}/${name}`);
  return [...found.map(({ name }) => name), ...jobs].toSorted();
}

const oldSide = (id: string, operation: string) => `old_${id}_${operation.replaceAll('-', '').slice(-8)}`;

describe('a restore', () => {
  test('puts a running instance back, keeps what it was, and is undone, and the undo too', async () => {
    const id = await runningInstance(fleet, 'restored');
    await mark(id, 'mark one');
    const uuid = await parameter(id, 'database.uuid');
    await keepFile(fleet, id, 'file one');
    const backup = await backedUp(id);
    await mark(id, 'mark two');
    await dropFile(fleet, id, 'file one');
    await keepFile(fleet, id, 'file two');
    // as if it had had another host then
    const former = `update ir_config_parameter set value = 'https://former.example' where key = 'web.base.url'`;
    await inDatabase(fleet, `odoo_${id}`, former);

    const restore = await carriedOut(id, { backup });
    expect(await parameter(id, 'web.base.url')).toContain('//restored.');
    expect(await marksOf(id)).toEqual(['mark one']);
    expect(await filesOf(id)).toEqual(['file one']);
    expect(await parameter(id, 'database.uuid')).toBe(uuid);
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'running' });
    await pageAnswers(fleet, 'restored', 200);
    expect(await besides(id)).toEqual([oldSide(id, restore)]);
    expect(await said(fleet, restore, 'dev.odoofleet.instance.restore.succeeded')).toMatchObject({
      ...{ backup, result: 'done' },
      undoableuntil: expect.stringMatching(/^\d{4}-/),
    });

    const undo = await carriedOut(id, { undoes: restore });
    expect(await marksOf(id)).toEqual(['mark one', 'mark two']);
    expect(await filesOf(id)).toEqual(['file two']);
    expect(await parameter(id, 'web.base.url')).toContain('//restored.');
    await pageAnswers(fleet, 'restored', 200);
    expect(await besides(id)).toEqual([oldSide(id, undo)]);
    await expect(ask(fleet, 'restore', id, { undoes: restore })).rejects.toThrow('refused: not-allowed');

    const again = await carriedOut(id, { undoes: undo });
    expect(await marksOf(id)).toEqual(['mark one']);
    expect(await filesOf(id)).toEqual(['file one']);
    expect(await besides(id)).toEqual([oldSide(id, again)]);
    await pageAnswers(fleet, 'restored', 200);
  });

  test('leaves a stopped instance stopped, and a suspended one suspended', async () => {
    const id = await runningInstance(fleet, 'resting');
    await mark(id, 'mark one');
    const backup = await backedUp(id);
    await mark(id, 'mark two');
    await carryOut(fleet, 'stop', id);
    const restore = await carriedOut(id, { backup });
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'stopped' });
    expect(await marksOf(id)).toEqual(['mark one']);
    await carryOut(fleet, 'suspend', id, { cause: 'abuse' });
    await carriedOut(id, { undoes: restore });
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'suspended' });
    expect(await marksOf(id)).toEqual(['mark one', 'mark two']);
  });

  test('ends, and lets a stop or a start follow that was asked for while it was loaded', async () => {
    const id = await runningInstance(fleet, 'followed');
    await mark(id, 'mark one');
    const backup = await backedUp(id);
    await mark(id, 'mark two');
    const restoredWhile = async (asked: () => Promise<string>) => {
      await worker.hold();
      const restore = await ask(fleet, 'restore', id, { backup });
      await until('the Job to be waited for', async () => (await besides(id)).some((name) => name.startsWith('Job/')));
      const follower = await asked();
      await worker.letGo();
      for (const operation of [restore, follower]) {
        expect(await ended(fleet, operation)).toMatchObject({ state: 'succeeded', error_text: null });
      }
      expect(await marksOf(id)).toEqual(['mark one']);
    };
    await restoredWhile(() => ask(fleet, 'stop', id));
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'stopped' });
    await restoredWhile(() => ask(fleet, 'start', id));
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'running' });
    await pageAnswers(fleet, 'followed', 200);
  });

  test('is refused for what is another instance’s, refuted, or of another Odoo', async () => {
    const [id, other] = [await runningInstance(fleet, 'mine'), await runningInstance(fleet, 'yours')];
    const backup = await backedUp(id);
    await expect(ask(fleet, 'restore', other, { backup })).rejects.toThrow('refused: not-found');
    await expect(ask(fleet, 'restore', id, { backup: randomUUID() })).rejects.toThrow('refused: not-found');
    await expect(ask(fleet, 'restore', id, { undoes: backup })).rejects.toThrow('refused: not-found');
    const spoil = (column: string) => fleet.rows(`update backups set ${column} where id = $1`, [backup]);
    await spoil(`summary = summary || '{"odooVersion": "18.0.1.3"}'`);
    await expect(ask(fleet, 'restore', id, { backup })).rejects.toThrow('refused: not-allowed');
    await spoil(`summary = summary || '{"odooVersion": "19.0.1.3"}', proof = 'refuted', proof_at = now()`);
    await expect(ask(fleet, 'restore', id, { backup })).rejects.toThrow('refused: not-allowed');
    expect(await besides(id)).toEqual([]);
  });

  test('goes on where PostgreSQL went away, while it was loaded and while the sides changed places', async () => {
    const id = await runningInstance(fleet, 'shaken');
    await mark(id, 'mark one');
    const backup = await backedUp(id);
    await mark(id, 'mark two');
    await worker.fail('unavailable: PostgreSQL cannot be reached or went away');
    const restore = await ask(fleet, 'restore', id, { backup });
    const round = 'select round from loads where id = $1 and round > 1';
    await until('another Job to follow', async () => (await fleet.rows(round, [restore])).length > 0);
    await worker.letGo();
    await until('the exchange to begin', async () => (await instanceSeen(fleet, id)).status === 'maintenance');
    await fleet.servers.odoo.restart({ signal: 'SIGQUIT' });
    expect(await ended(fleet, restore)).toMatchObject({ state: 'succeeded', error_text: null });
    expect(await marksOf(id)).toEqual(['mark one']);
    expect(await besides(id)).toEqual([oldSide(id, restore)]);
    await pageAnswers(fleet, 'shaken', 200);
  });

  test('that fails, is cancelled or overtaken leaves what was live, and nothing else', async () => {
    const id = await runningInstance(fleet, 'left');
    await mark(id, 'mark one');
    const backup = await backedUp(id);
    await mark(id, 'mark two');
    await worker.fail('damaged: the dump is not what it was');
    const failed = await ask(fleet, 'restore', id, { backup });
    expect(await ended(fleet, failed)).toMatchObject({ state: 'failed', error_code: 'job-failed' });
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'running' });
    await worker.letGo();

    await worker.hold();
    const cancelled = await ask(fleet, 'restore', id, { backup });
    await until('the Job to be waited for', async () => (await besides(id)).some((name) => name.startsWith('Job/')));
    const data = { operation: cancelled, instance: id, kind: 'restore', reason: 'not now' };
    const attributes = { subject: id, opkind: 'restore', operationid: cancelled, partitionkey: id };
    const cancel = { id: randomUUID(), type: 'dev.odoofleet.operation.cancel', source: userService, data, attributes };
    await fleet.publish(cancel);
    expect(await ended(fleet, cancelled)).toMatchObject({ state: 'cancelled' });

    const overtaken = await ask(fleet, 'restore', id, { backup });
    await until('the Job to be waited for', async () => (await besides(id)).some((name) => name.startsWith('Job/')));
    expect(await ended(fleet, await ask(fleet, 'terminate', id))).toMatchObject({ state: 'succeeded' });
    expect(await ended(fleet, overtaken)).toMatchObject({ state: 'cancelled' });
    await worker.letGo();
    expect(await ended(fleet, await ask(fleet, 'undo', id))).toMatchObject({ state: 'succeeded' });
    await pageAnswers(fleet, 'left', 200);
    expect(await marksOf(id)).toEqual(['mark one', 'mark two']);
    expect(await besides(id)).toEqual([]);
  });
});
