import pg from 'pg';
import { expect, it } from 'vitest';
import { namesOf } from '#shared/domain/instance/names.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { queryAsSuperuser, superuserOptions } from '#shared/testing/fleet-traces.ts';
import {
  carryOut,
  lifeRequest,
  operationsOf,
  outcomeOf,
  pageAnswers,
  runningInstance,
  settled,
} from '#shared/testing/life.ts';

const fleet = fleetOfThisFile({ which: 'real', waitsForWarm: true });

it('the real Odoo lives through it all, and its data with it', async () => {
  const id = await runningInstance(fleet(), 'books');
  const { database } = namesOf(id);
  const partner = `insert into res_partner (name, active, create_date) values ('Kept by all', true, now()) returning id`;
  await queryAsSuperuser(fleet().servers.odoo, partner, { database });
  expect(await carryOut(fleet(), 'stop', id)).toMatchObject({ status: 'stopped' });
  expect(await carryOut(fleet(), 'start', id)).toMatchObject({ status: 'running' });
  expect(await carryOut(fleet(), 'restart', id)).toMatchObject({ status: 'running' });
  await pageAnswers(fleet(), 'books', 200);
  expect(await carryOut(fleet(), 'suspend', id, { cause: 'billing' })).toMatchObject({ status: 'suspended' });
  await pageAnswers(fleet(), 'books', 402);
  expect(await carryOut(fleet(), 'resume', id, { cause: 'billing' })).toMatchObject({ status: 'running' });
  expect(await carryOut(fleet(), 'terminate', id)).toMatchObject({ status: 'terminated' });
  expect(await carryOut(fleet(), 'undo', id)).toMatchObject({ status: 'running' });
  await pageAnswers(fleet(), 'books', 200);
  const kept = await queryAsSuperuser(fleet().servers.odoo, `select name from res_partner where name = 'Kept by all'`, {
    database,
  });
  expect(kept).toEqual([{ name: 'Kept by all' }]);
});

it('a stop waits for a scheduled action that is at work', async () => {
  const id = await runningInstance(fleet(), 'busy');
  const worker = new pg.Client({ ...superuserOptions(fleet().servers.odoo), database: namesOf(id).database });
  await worker.connect();
  try {
    // As Odoo's own cron does while it works on one.
    await worker.query('begin');
    await worker.query('select id from ir_cron order by id limit 1 for no key update');
    const stop = lifeRequest('stop', id);
    await fleet().publish(stop);
    await outcomeOf(fleet(), stop);
    await until('the stop to wait for it', async () => {
      const rows = await fleet().rows<{ waiting_for: string | null }>(
        `select waiting_for from operations where instance_id = $1 and kind = 'stop'`,
        [id],
      );
      return rows[0]?.waiting_for === '1 scheduled actions to end';
    });
    expect(await fleet().loginPage('busy')).toBe(200);
    await worker.query('commit');
  } finally {
    await worker.end();
  }
  expect(await settled(fleet(), id)).toMatchObject({ status: 'stopped' });
  expect((await operationsOf(fleet(), id)).at(-1)).toMatchObject({ kind: 'stop', state: 'succeeded' });
});
