import { Failure } from '#shared/domain/failure.ts';
import type { Hosts } from '#shared/domain/instance/ports.ts';
import { isReservedName } from '#shared/domain/instance/reserved-names.ts';
import type { Database, Queryable } from './database.ts';
import { readInstance } from './instance-records.ts';
import { underLock } from './operation-lock.ts';

/** Characters of the instance's id that tell a host from one that somebody else has taken: 30 bits. */
const shortIdLength = 6;

/** The public names of instances in the platform's records. */
export function hosts(database: Database): Hosts {
  return {
    free: (operation, instanceId) =>
      underLock(database, operation, async (transaction) => {
        const text = 'update instances set host = null, updated_at = clock_timestamp() where id = $1';
        await transaction.query(text, [instanceId]);
      }),
    take: (operation, instanceId) =>
      underLock(database, operation, async (transaction) => {
        const found = await readInstance(transaction, instanceId);
        if (found.instance.host === '') await takeOne(transaction, found.instance);
        const { instance, publicUrl } = await readInstance(transaction, instanceId);
        return { host: instance.host, publicUrl };
      }),
  };
}

// The unique index decides between two that want the same at the same time: the loser waits, and finds it taken.
const takeText = `
  update instances as mine set host = $2 || '.' || c.base_domain, updated_at = clock_timestamp()
  from clusters c
  where mine.id = $1 and c.id = mine.cluster_id
    and not exists (select 1 from instances other where other.host = $2 || '.' || c.base_domain)`;

async function takeOne(transaction: Queryable, instance: { id: string; name: string }): Promise<void> {
  const { id, name } = instance;
  for (const label of [name, `${name}-${id.slice(0, shortIdLength)}`]) {
    if (isReservedName(label)) continue;
    await transaction.query('savepoint host');
    try {
      const { rowCount } = await transaction.query(takeText, [id, label]);
      if (rowCount > 0) return;
    } catch (error) {
      if (!(error instanceof Failure) || error.facts['constraint'] !== 'instances_host_key') throw error;
      await transaction.query('rollback to savepoint host');
    }
  }
  throw new Failure('host-taken', `Neither ${name} nor its longer form is free for instance ${id}. Free one of them.`);
}
