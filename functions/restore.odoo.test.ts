import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { missingFiles } from '#scripts/test/crash/restore-case.ts';
import { fleetOfThisFile } from '#shared/testing/fleet.ts';
import { pageAnswers, runningInstance } from '#shared/testing/life.ts';
import { ask, ended, inDatabase } from './backup.fixture.ts';

const fleet = fleetOfThisFile({ which: 'real', waitsForWarm: true });

type Seen = { partners: number; attachments: number; files: number; uuid: string; hash: string };

/** What a customer has: his rows by count and by content, files, large objects, and who the instance is. */
async function seen(id: string): Promise<Seen> {
  const [row] = await inDatabase<Seen>(
    fleet(),
    `odoo_${id}`,
    `select (select count(*)::int from res_partner) as partners, (select count(*)::int from ir_attachment) as attachments,
       (select count(distinct store_fname)::int from ir_attachment) as files,
       (select value from ir_config_parameter where key = 'database.uuid') as uuid,
       (select md5(string_agg(concat_ws('|', p.id, p.name), E'\\n' order by p.id)) from res_partner p)
         || (select md5(coalesce(string_agg(md5(lo_get(oid)), ',' order by oid), '')) from pg_largeobject_metadata) as hash`,
  );
  if (row === undefined) throw new Error('the database has no rows');
  return row;
}

async function carriedOut(kind: 'backup' | 'restore', id: string, data: Record<string, unknown> = {}): Promise<string> {
  const operation = await ask(fleet(), kind, id, data);
  expect(await ended(fleet(), operation)).toMatchObject({ state: 'succeeded', error_text: null });
  return operation;
}

it('the real Odoo boots on what was restored, and on what an undo brings back', async () => {
  const id = await runningInstance(fleet(), 'books');
  const sql = (text: string) => inDatabase(fleet(), `odoo_${id}`, text);
  for (const name of ['Größe & Söhne', '株式会社 🐘', 'عميل']) {
    await sql(`insert into res_partner (name, active, create_date) values ('${name}', true, now())`);
  }
  await sql(`set role "odoo_${id}"; select lo_from_bytea(0, decode(repeat('00ff', 100000), 'hex'))`);
  const first = await seen(id);
  const backup = await carriedOut('backup', id);
  await sql(`insert into res_partner (name, active, create_date) values ('${randomUUID()}', true, now())`);
  const second = await seen(id);
  expect(second.hash).not.toBe(first.hash);

  const restore = await carriedOut('restore', id, { backup });
  expect(await seen(id)).toMatchObject({ partners: first.partners, uuid: first.uuid, hash: first.hash });
  expect(await missingFiles({ fleet: fleet() }, id)).toEqual([]);
  await pageAnswers(fleet(), 'books', 200);

  await carriedOut('restore', id, { undoes: restore });
  expect(await seen(id)).toMatchObject({ partners: second.partners, uuid: first.uuid, hash: second.hash });
  expect(await missingFiles({ fleet: fleet() }, id)).toEqual([]);
  await pageAnswers(fleet(), 'books', 200);
});
