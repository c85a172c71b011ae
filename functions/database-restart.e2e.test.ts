import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { startTestFleet, type TestFleet, until, untilWarm } from '#shared/testing/fleet.ts';
import { queryAsSuperuser, tracesOf } from '#shared/testing/fleet-traces.ts';
import { instanceSeen, pageAnswers, runningInstance } from '#shared/testing/life.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';
import { ask, ended, inDatabase } from './backup.fixture.ts';

let fleet: TestFleet;
let end: () => Promise<void>;
let id: string;
let backup: string;

/** The customer's own code holds up who loads his table, and who changes a scheduled action: long enough to be met there. */
const slow = (owner: string) => `
  create function slow(n int) returns boolean language plpgsql as 'begin return true; end';
  create table acme_slow (id int check (slow(id)));
  insert into acme_slow select generate_series(1, 12);
  create or replace function slow(n int) returns boolean language plpgsql as 'begin perform pg_sleep(0.6); return true; end';
  create function slower() returns trigger language plpgsql as 'begin perform pg_sleep(6); return null; end';
  create trigger slower after update on ir_cron for each statement execute function slower();
  alter table acme_slow owner to ${owner};
  alter function slow owner to ${owner};
  alter function slower owner to ${owner}`;

beforeAll(async () => {
  ({ fleet, end } = await startTestFleet());
  await untilWarm(fleet);
  id = await runningInstance(fleet, 'shaken');
  await inDatabase(fleet, `odoo_${id}`, slow(`odoo_${id}`));
  await mark('mark one');
  backup = await ask(fleet, 'backup', id);
  expect(await ended(fleet, backup)).toMatchObject({ state: 'succeeded', error_text: null });
  await mark('mark two');
});
afterAll(() => end?.());

const mark = (name: string) => inDatabase(fleet, `odoo_${id}`, `insert into res_partner (name) values ('${name}')`);

async function marksOf(instanceId: string): Promise<string[]> {
  const text = `select name from res_partner where name like 'mark %' order by id`;
  return (await inDatabase<{ name: string }>(fleet, `odoo_${instanceId}`, text)).map(({ name }) => name);
}

const restart = () => fleet.servers.odoo.restart({ signal: 'SIGQUIT' });

/** Ends the server without a word while a session of the load's role is in the middle of such a statement. */
async function restartDuring(statement: string, instanceId: string): Promise<void> {
  const text = `select from pg_stat_activity where usename like 'load_${instanceId}_%'
    and wait_event = 'PgSleep' and query ilike '${statement}%'`;
  const isAtIt = async () => (await queryAsSuperuser(fleet.servers.odoo, text)).length > 0;
  await until(`${statement} to be at work`, isAtIt, { timeoutMs: 60_000 });
  await restart();
}

async function roundOf(operation: string): Promise<number> {
  const rows = await fleet.rows<{ round: number }>('select round from loads where id = $1', [operation]);
  return rows[0]?.round ?? 0;
}

test('a restore goes on where its server went away in the middle of the load, and of the exchange', async () => {
  const restore = await ask(fleet, 'restore', id, { backup });
  await restartDuring('copy', id);
  expect(await marksOf(id)).toEqual(['mark one', 'mark two']);
  // a stranger whom nobody may send away keeps the database from being renamed, until the server ends him too
  const visit = asSuperuser(fleet.servers.odoo, (client) => once(client, 'end'), { database: `odoo_${id}` });
  const visited = expect(visit).rejects.toThrow();
  const isHeld = `select from operations where id = $1 and step = 'exchange-database' and waiting_for = 'another try: conflict'`;
  await until('the exchange to be held up', async () => (await fleet.rows(isHeld, [restore])).length > 0, {
    timeoutMs: 60_000,
  });
  expect(await fleet.rows('select state from restores where id = $1', [restore])).toEqual([{ state: 'running' }]);
  await restart();
  await visited;
  expect(await ended(fleet, restore)).toMatchObject({ state: 'succeeded', error_text: null });
  expect(await roundOf(restore)).toBe(2);
  expect(await marksOf(id)).toEqual(['mark one']);
  expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'running' });
  await pageAnswers(fleet, 'shaken', 200);
});

test('a copy goes on where its server went away in the middle of the load, and while it was made neutral', async () => {
  const copy = deriveInstanceId('test', randomUUID());
  const clone = await ask(fleet, 'clone', copy, { source: id, backup, name: 'shaken-try' });
  await restartDuring('copy', copy);
  await restartDuring('update', copy);
  expect(await ended(fleet, clone)).toMatchObject({ state: 'succeeded', error_text: null });
  expect(await roundOf(clone)).toBe(2);
  expect(await marksOf(copy)).toEqual(['mark one']);
  const { databases, roles } = await tracesOf(fleet, fleet.cluster, copy);
  expect(databases).toEqual([`odoo_${copy}`]);
  expect(roles).toEqual([`odoo_${copy}`, `odoo_${copy}_owner`]);
  await pageAnswers(fleet, 'shaken-try', 200);
});
