import { expect } from 'vitest';
import type { TestFleet } from './fleet.ts';
import { listObjects, queryAsSuperuser } from './fleet-traces.ts';

// All there is of a fleet's instances, and what tests expect of it before and after.

const volatileKinds = new Set(['Pod', 'Job', 'Event']);

/** All that is wanted to stay: objects with who they are, databases, roles, and the rows of the instances. */
export async function worldOf(fleet: TestFleet): Promise<Record<string, unknown>> {
  const objects = (await listObjects(fleet.cluster)).filter(({ kind }) => !volatileKinds.has(kind));
  const databases = await queryAsSuperuser<{ datname: string }>(
    fleet.servers.odoo,
    String.raw`select datname, oid::int, pg_get_userbyid(datdba) as owner, datacl::text, datallowconn,
      shobj_description(oid, 'pg_database') as mark from pg_database
      where datname !~ '^(warm|filling|trash|making|building)_'`,
  );
  const roles = await queryAsSuperuser<{ rolname: string }>(
    fleet.servers.odoo,
    `select rolname, oid::int, rolcanlogin, rolconnlimit, md5(rolpassword) as password from pg_authid
     where rolname ~ '^odoo_'`,
  );
  const rows = await fleet.rows<{ id: string }>(
    `select id, status, desired_state, generation, observed_generation, host, db_server_id from instances`,
  );
  return Object.fromEntries([
    ...objects.map(({ kind, name, object }) => [`${kind}/${name}`, withoutStatus(object)] as const),
    ...databases.map((row) => [`database ${row.datname}`, row] as const),
    ...roles.map((row) => [`role ${row.rolname}`, row] as const),
    ...rows.map((row) => [`row ${row.id}`, row] as const),
  ]);
}

/** What others have written, without what the server and the node tell of it. */
function withoutStatus({ status: _status, metadata, ...object }: Record<string, unknown>): object {
  const { resourceVersion: _version, managedFields: _fields, ...kept } = metadata as Record<string, unknown>;
  return { ...object, metadata: kept };
}

/** Nothing has changed but what bears one of these words in its name. */
export function expectUntouched(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  options: { but: readonly string[] },
): void {
  const others = (world: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(world).filter(([name]) => !options.but.some((word) => name.includes(word))));
  expect(others(after)).toEqual(others(before));
}

type Kept = { metadata?: { uid?: string }; spec?: unknown };

/**
 * The instance is what it was: every object has its spec of before, and none but those named was made anew; databases
 * and roles are the same ones with the same rights.
 */
export function expectAsBefore(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  options: { instance: string; madeAnew?: readonly string[] },
): void {
  const { instance, madeAnew = [] } = options;
  const of = (world: Record<string, unknown>) =>
    Object.fromEntries(
      Object.entries(world)
        .filter(([name]) => name.includes(instance))
        .map(([name, thing]) => {
          const { metadata, spec } = thing as Kept;
          const isNew = madeAnew.includes(name);
          if (metadata !== undefined) return [name, { spec: withoutAddress(spec), uid: isNew ? 'new' : metadata.uid }];
          return [name, isNew ? 'new' : withoutSalt(thing)];
        }),
    );
  expect(of(after)).toEqual(of(before));
}

/** A role that is written again gets its password under a new salt. */
function withoutSalt(thing: unknown): object {
  const { password: _password, ...rest } = thing as Record<string, unknown>;
  return rest;
}

/** A Service that is made anew gets another address of the cluster. */
function withoutAddress(spec: unknown): unknown {
  if (typeof spec !== 'object' || spec === null) return spec;
  const { clusterIP: _one, clusterIPs: _all, ...rest } = spec as Record<string, unknown>;
  return rest;
}
