import { beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooAdmin } from '#shared/sandbox/fleet/databases.ts';
import {
  atRest,
  deleteByHand,
  expectMended,
  expectReported,
  failedRepair,
  forgetFindings,
  lookAgain,
  onServer,
  openFindings,
  repairsOf,
} from '#shared/testing/drift.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { carryOut, instanceSeen, lifeRequest, outcomeOf, pageAnswers, runningInstance } from '#shared/testing/life.ts';
import { expectUntouched, worldOf } from '#shared/testing/world.ts';

// Databases and roles that somebody drops or changes by hand, and what only the records tell.

const fleet = fleetOfThisFile({ waitsForWarm: true, functionSettings: { RECONCILE_EVERY_MS: '3600000' } });

let id: string;
let names: ReturnType<typeof namesOf>;
beforeAll(async () => {
  [id] = await Promise.all([runningInstance(fleet(), 'drifts'), runningInstance(fleet(), 'bystander')]);
  names = namesOf(id);
});

const server = (text: string, database?: string) => onServer<{ name: string }>(fleet(), text, database);

describe('rights that were changed are put back:', () => {
  it.each([
    [
      'the owner of the database',
      ['database-owner-wrong'],
      () => `alter database ${names.database} owner to ${odooAdmin}`,
    ],
    [
      'the right of the instance’s role to connect',
      ['database-grants-wrong'],
      () => `revoke all on database ${names.database} from ${names.role}`,
    ],
    [
      'CONNECT for everybody',
      ['database-open-to-public'],
      () => `grant connect on database ${names.database} to public`,
    ],
    ['connections refused', ['database-closed'], () => `alter database ${names.database} allow_connections false`],
    ['a role without LOGIN', ['role-wrong'], () => `alter role ${names.role} nologin`],
    ['an owner role with LOGIN', ['role-wrong'], () => `alter role ${names.ownerRole} login`],
    ['another connection limit', ['role-wrong'], () => `alter role ${names.role} connection limit 1000`],
    ['a role that may create databases', ['role-wrong'], () => `alter role ${names.role} createdb`],
    ['another password, which nobody can see from outside', [], () => `alter role ${names.role} password 'known'`],
  ] as const)('%s', async (_what, finds, statement) => {
    if (finds.length === 0) return await expectPasswordBack(statement());
    await expectMended(fleet(), {
      instance: id,
      finds,
      drift: () => server(statement()),
    });
    await pageAnswers(fleet(), 'drifts', 200);
  });

  async function expectPasswordBack(statement: string): Promise<void> {
    await server(statement);
    expect(await carryOut(fleet(), 'repair', id)).toMatchObject({ status: 'running' });
    await carryOut(fleet(), 'restart', id);
    await pageAnswers(fleet(), 'drifts', 200);
  }
});

describe('a role that is gone', () => {
  it('is made again: the owner of the database', async () => {
    await expectMended(fleet(), {
      instance: id,
      finds: ['database-owner-wrong', 'role-missing'],
      drift: async () => {
        await server(`alter database ${names.database} owner to ${odooAdmin}`);
        await server(`drop owned by ${names.ownerRole}`, names.database);
        await server(`drop role ${names.ownerRole}`);
      },
      madeAnew: [`role ${names.ownerRole}`],
    });
    await pageAnswers(fleet(), 'drifts', 200);
  });

  it('is made again with its password, and has what it owned: the one Odoo logs in with', async () => {
    await expectMended(fleet(), {
      instance: id,
      finds: ['database-grants-wrong', 'role-missing'],
      drift: async () => {
        await server(`alter role ${names.role} nologin`);
        await server(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = '${names.role}'`);
        await server(`reassign owned by ${names.role} to ${names.ownerRole}`, names.database);
        await server(`drop owned by ${names.role}`, names.database);
        await server(`drop role ${names.role}`);
      },
      madeAnew: [`role ${names.role}`],
    });
    await carryOut(fleet(), 'restart', id);
    await pageAnswers(fleet(), 'drifts', 200);
  });
});

describe('a database', () => {
  it('that belongs to a role that is not ours is not taken: the repair says so', async () => {
    const one = await runningInstance(fleet(), 'taken');
    await server(`alter database ${namesOf(one).database} owner to postgres`);
    const before = await worldOf(fleet());
    await lookAgain(fleet(), { instance: one });
    expect((await openFindings(fleet(), one)).map(({ kind }) => kind)).toContain('database-owner-wrong');
    await until('the repair', async () => (await repairsOf(fleet(), one))[0]?.state === 'failed');
    expect(await repairsOf(fleet(), one)).toMatchObject([{ error_code: 'foreign-object', step: 'recover-database' }]);
    expectUntouched(before, await worldOf(fleet()), { but: [] });
  });

  it('that was dropped is never made anew: an alarm, and whatever is asked for fails and says why', async () => {
    const one = await runningInstance(fleet(), 'dropped');
    const { database } = namesOf(one);
    const found = await expectReported(fleet(), {
      about: one,
      finds: ['database-missing'],
      drift: () => server(`drop database ${database} with (force)`),
      shard: one.slice(0, 1),
    });
    expect(found[0]).toMatchObject({ subject: one, place: expect.stringMatching(/^server /) });
    // Beside something that would be repaired: nothing is asked for that must fail.
    await expectReported(fleet(), {
      about: one,
      finds: ['database-missing', 'network-policy-missing'],
      drift: () => deleteByHand(fleet(), kinds.networkPolicy, namesOf(one).object),
      shard: one.slice(0, 1),
    });
    const { error_code, error_text } = await failedRepair(fleet(), one);
    expect(error_code).toBe('not-found');
    expect(error_text).toContain('It is never made anew');
    for (const kind of ['restart', 'stop', 'start'] as const) {
      const event = lifeRequest(kind, one);
      await fleet().publish(event);
      await outcomeOf(fleet(), event);
      await atRest(fleet(), one);
    }
    expect(await server(`select datname as name from pg_database where datname like '%${one}%'`)).toEqual([]);
    expect((await openFindings(fleet(), one)).map(({ kind }) => kind)).toContain('database-missing');
  });

  it('that is set aside under a living instance is brought back', async () => {
    const { database, role } = namesOf(id);
    await expectMended(fleet(), {
      instance: id,
      finds: ['database-aside'],
      drift: async () => {
        await server(`alter database ${database} allow_connections false`);
        await until('its sessions to end', async () => {
          await server(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${database}'`);
          const renaming = server(`alter database ${database} rename to tombstone_${id}`);
          return await renaming.then(
            () => true,
            () => false,
          );
        });
        await server(`alter role ${role} nologin`);
      },
    });
    await pageAnswers(fleet(), 'drifts', 200);
  });
});

describe('more than the plan has', () => {
  it('is told of: a volume and a database of a plan that was made small', async () => {
    await fleet().rows(
      `insert into plans (id, cpu_millis, memory_mib, disk_gib, workers, cron_threads, database_connections, replicas)
       select 'own', cpu_millis, memory_mib, disk_gib, workers, cron_threads, database_connections, replicas
       from plans where id = 'small' returning id`,
    );
    const one = await runningInstance(fleet(), 'large', { plan: 'own' });
    const found = await expectReported(fleet(), {
      about: one,
      finds: ['database-oversized', 'volume-oversized'],
      drift: async () => {
        await fleet().rows(`update plans set disk_gib = 1 where id = 'own' returning id`);
        // a file with a hole in it: 2 GiB that take no room; no row goes to the program, for one that
        // has ended before it can read its input breaks the pipe
        const [row] = await server(
          `select oid::text as name from pg_database where datname = '${namesOf(one).database}'`,
        );
        await server(`copy (select where false) to program 'truncate -s 2G base/${row?.name}/999999'`);
      },
      shard: one.slice(0, 1),
    });
    expect(found.map(({ detail }) => detail).join()).toContain('larger than 1 GiB');
    await pageAnswers(fleet(), 'large', 200);
  });
});

describe('what belongs to nobody', () => {
  it('is told of: a role without a database', async () => {
    const nobody = 'zyzzyzzyzzyz';
    await expectReported(fleet(), {
      about: nobody,
      finds: ['orphan-role'],
      drift: () => server(`create role odoo_${nobody}`),
      shard: 'z',
    });
    expect(await server(`select rolname as name from pg_roles where rolname = 'odoo_${nobody}'`)).toHaveLength(1);
  });

  it('is put into quarantine when it has stood for days, and not before: a database without an instance', async () => {
    const nobody = 'yzyzyzyzyzyz';
    const text = `select datname as name, datallowconn as open from pg_database where datname like '%${nobody}%'`;
    await expectReported(fleet(), {
      about: nobody,
      finds: ['orphan-database'],
      drift: () => server(`create database odoo_${nobody} owner ${odooAdmin}`),
      shard: 'y',
    });
    await fleet().rows(
      `update findings set first_seen = first_seen - interval '6 days 23 hours' where instance_id = $1 returning kind`,
      [nobody],
    );
    await lookAgain(fleet(), { shard: 'y' });
    expect(await server(text)).toEqual([{ name: `odoo_${nobody}`, open: true }]);
    await fleet().rows(
      `update findings set first_seen = first_seen - interval '2 hours' where instance_id = $1 returning kind`,
      [nobody],
    );
    await lookAgain(fleet(), { shard: 'y' });
    await until('the quarantine', async () => (await server(text))[0]?.name === `quarantine_${nobody}_1`);
    expect(await server(text)).toEqual([{ name: `quarantine_${nobody}_1`, open: false }]);
    const noted = () =>
      fleet().rows(`select 1 from audit where action = 'orphan.quarantined' and instance_id = $1`, [nobody]);
    await until('it to be noted', async () => (await noted()).length > 0);
    expect(await noted()).toHaveLength(1);
    await lookAgain(fleet(), { shard: 'y' });
    expect(await openFindings(fleet(), nobody)).toEqual([]);
  });

  it('and is not ours to rename is told of for ever: a database of another owner', async () => {
    const nobody = 'xyxyxyxyxyxy';
    await expectReported(fleet(), {
      about: nobody,
      finds: ['orphan-database'],
      drift: () => server(`create database odoo_${nobody}`),
      shard: 'x',
    });
    await fleet().rows(`update findings set first_seen = first_seen - interval '90 days' returning kind`);
    await lookAgain(fleet(), { shard: 'x' });
    expect((await openFindings(fleet(), nobody)).map(({ kind }) => kind)).toEqual(['orphan-database']);
  });
});

describe('a server’s count of instances', () => {
  it.each([3, -1])('that is wrong by %i is put right, and noted', async (by) => {
    await forgetFindings(fleet());
    const count = async () =>
      await fleet().rows<{ id: string; n: number }>('select id, instance_count as n from db_servers');
    const before = await count();
    const world = await worldOf(fleet());
    await fleet().rows('update db_servers set instance_count = instance_count + $1 returning id', [by]);
    await lookAgain(fleet(), { shard: 'fleet' });
    const found = await fleet().rows<{ kind: string; subject: string; place: string }>(
      `select kind, subject, place from findings where kind = 'server-count-wrong'`,
    );
    expect(found).toEqual([{ kind: 'server-count-wrong', subject: `server ${before[0]?.id}`, place: 'records' }]);
    await until('the count', async () => (await count())[0]?.n === before[0]?.n);
    await lookAgain(fleet(), { shard: 'fleet' });
    expect(await openFindings(fleet(), `server ${before[0]?.id}`)).toEqual([]);
    expect(await count()).toEqual(before);
    const noted = await fleet().rows(`select 1 from audit where action = 'server-count.corrected'`);
    expect(noted.length).toBeGreaterThan(0);
    expectUntouched(world, await worldOf(fleet()), { but: [] });
  });
});

it('the bystander never had an operation but its own', async () => {
  const rows = await fleet().rows<{ id: string }>(`select id from instances where name = 'bystander'`);
  const bystander = rows[0]?.id ?? '';
  expect(await repairsOf(fleet(), bystander)).toEqual([]);
  expect(await instanceSeen(fleet(), bystander)).toMatchObject({ status: 'running', generation: 1 });
  await pageAnswers(fleet(), 'bystander', 200);
});
