import type { InstanceFacts } from '#shared/domain/drift/findings.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer, Image, Plan } from '#shared/domain/instance/instance.ts';
import type { Queryable } from './database.ts';
import { toDatabaseServer } from './database-servers.ts';
import { toImage } from './images.ts';
import { provenDomains, toInstance } from './instance-columns.ts';
import { openSuspensions } from './instance-facts.ts';
import { toPlan } from './plans.ts';
import type { Row } from './rows.ts';

/**
 * `now`: it can be asked. `not-now`: an operator has marked it with `error`, or its address was changed and it was not
 * reached since. `not-yet`: new, or for
 * verifications, and no instance is on it.
 */
export type ServerReading = 'now' | 'not-now' | 'not-yet';

/** What the rows of instances refer to. Read once per pass, so that a page carries ids only. */
export type Catalogue = {
  plans: ReadonlyMap<string, Plan>;
  images: ReadonlyMap<string, Image>;
  servers: ReadonlyMap<string, { server: DatabaseServer; reading: ServerReading }>;
};

export async function readCatalogue(queryable: Queryable): Promise<Catalogue> {
  const plans = await queryable.query<Row<'plans'>>('select * from plans');
  const images = await queryable.query<Row<'images'>>('select * from images');
  const servers = await queryable.query<Row<'db_servers'>>('select * from db_servers order by id');
  return {
    plans: new Map(plans.rows.map((row) => [row.id, toPlan(row)])),
    images: new Map(images.rows.map((row) => [row.id, toImage(row)])),
    servers: new Map(servers.rows.map((row) => [row.id, { server: toDatabaseServer(row), reading: readingOf(row) }])),
  };
}

function readingOf(row: Row<'db_servers'>): ServerReading {
  if (row.purpose === 'verification') return 'not-yet';
  if (row.status === 'error') return 'not-now';
  if (row.reached_at !== null) return 'now';
  return row.instance_count === 0 ? 'not-yet' : 'not-now';
}

type InstanceRow = Omit<Row<'instances'>, 'created_at' | 'updated_at'> & {
  suspensions: Row<'suspensions'>['reason'][];
  domains: string[];
  is_moving: boolean;
};

const pageText = `
  select i.*, ${openSuspensions}, ${provenDomains},
    exists (select 1 from operations o where o.instance_id = i.id
      and (o.state in ('queued', 'running', 'waiting') or o.finished_at >= $4)) as is_moving
  from instances i
  where left(i.id, 1) = $1 and i.id > $2 order by i.id limit $3`;

/** Instances whose id begins with the shard's character, page by page, purged ones included. */
export async function* instancesOfShard(
  queryable: Queryable,
  catalogue: Catalogue,
  options: {
    shard: string;
    pageSize: number;
    /** An operation that ended later makes its instance a moving one. */
    since: Date;
  },
): AsyncGenerator<InstanceFacts[]> {
  let after = '';
  for (;;) {
    const values = [options.shard, after, options.pageSize, options.since];
    const { rows } = await queryable.query<InstanceRow>(pageText, values);
    if (rows.length > 0) yield rows.map((row) => toFacts(row, catalogue));
    const last = rows.at(-1);
    if (last === undefined || rows.length < options.pageSize) return;
    after = last.id;
  }
}

function toFacts(row: InstanceRow, catalogue: Catalogue): InstanceFacts {
  const plan = catalogue.plans.get(row.plan_id);
  const image = catalogue.images.get(row.image_id);
  const server = row.db_server_id === null ? null : catalogue.servers.get(row.db_server_id)?.server;
  if (plan === undefined || image === undefined || server === undefined) {
    throw new Failure('conflict', 'A plan, image or server was added while its rows were read: look again.');
  }
  return {
    isMoving: row.is_moving,
    isPurged: row.purged_at !== null,
    instance: toInstance(row, { plan, image, databaseServer: server }),
  };
}

/** Is there a row of it whose data is not purged? */
export async function hasInstance(queryable: Queryable, instanceId: string): Promise<boolean> {
  const { rowCount } = await queryable.query('select 1 from instances where id = $1 and purged_at is null', [
    instanceId,
  ]);
  return rowCount > 0;
}
