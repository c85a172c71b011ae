import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import { workerImage } from '#shared/sandbox/fleet/backups.ts';
import type { Image } from '#shared/sandbox/image.ts';
import type { TestFleet } from '#shared/testing/fleet.ts';
import { until } from '#shared/testing/fleet.ts';
import { listObjectsAtRest, queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { lifeRequest } from '#shared/testing/life.ts';

/** A worker that tests can hold back, or have fail, before it does its work. */
export type HeldWorker = {
  image: Image;
  /** Jobs that begin now wait until `letGo`. */
  hold(): Promise<void>;
  letGo(): Promise<void>;
  /** Jobs that begin now end with this exit code, and this last line. */
  fail(line: string): Promise<void>;
  end(): Promise<void>;
};

const script = `
while [ -e "$HOLD_FOLDER/hold" ]; do sleep 0.05; done
if [ -e "$HOLD_FOLDER/fail" ]; then cat "$HOLD_FOLDER/fail" >&2; exit 1; fi
exec "$@"`;

export async function heldWorker(): Promise<HeldWorker> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-worker-hold-'));
  // the worker runs as another user
  await chmod(folder, 0o755);
  const real = workerImage();
  const file = (name: string) => join(folder, name);
  return {
    image: {
      kind: 'host',
      entrypoint: ['/bin/sh', '-c', script, 'sh', ...real.entrypoint],
      env: { ...real.env, HOLD_FOLDER: folder },
    },
    hold: () => writeFile(file('hold'), ''),
    fail: (line) => writeFile(file('fail'), `${line}\n`),
    async letGo() {
      await rm(file('hold'), { force: true });
      await rm(file('fail'), { force: true });
    },
    end: () => rm(folder, { recursive: true, force: true }),
  };
}

export type OperationEnd = {
  id: string;
  state: string;
  step: string | null;
  error_code: string | null;
  error_text: string | null;
  progress: { phase?: string } | null;
};

/** Asks for it; gives the operation that the event came to, and the event's data of its end. */
export async function ask(
  fleet: TestFleet,
  kind: Exclude<OperationKind, 'provision'>,
  instanceId: string,
  data: Record<string, unknown> = {},
): Promise<string> {
  const event = lifeRequest(kind, instanceId, data);
  await fleet.publish(event);
  return await until(`${kind} to be accepted`, async () => {
    const text = 'select operation_id, outcome from inbox where source = $1 and id = $2';
    const [found] = await fleet.rows<{ operation_id: string | null; outcome: string }>(text, [event.source, event.id]);
    if (found?.outcome.startsWith('refused')) throw new Error(found.outcome);
    return found?.operation_id ?? undefined;
  });
}

/** Waits for the end of an operation, however it is. */
export async function ended(fleet: TestFleet, operationId: string): Promise<OperationEnd> {
  return await until(
    `operation ${operationId} to end`,
    async () => {
      const text = 'select id, state, step, error_code, error_text, progress from operations where id = $1';
      const [found] = await fleet.rows<OperationEnd>(text, [operationId]);
      return found && ['succeeded', 'failed', 'cancelled'].includes(found.state) ? found : undefined;
    },
    { timeoutMs: 90_000 },
  );
}

/** Data of the event that told of an operation. */
export async function said(fleet: TestFleet, operationId: string, type: string): Promise<Record<string, unknown>> {
  const text = `select data from outbox where type = $1 and data ->> 'operation' = $2`;
  const rows = await fleet.rows<{ data: Record<string, unknown> }>(text, [type, operationId]);
  if (rows.length !== 1) throw new Error(`${rows.length} events ${type} of operation ${operationId}`);
  return rows[0]?.data ?? {};
}

/** What a backup or verification may leave nowhere: Jobs and Secrets of the worker, its roles, databases of verifications. */
export async function leftovers(fleet: TestFleet, instanceId: string): Promise<string[]> {
  const objects = await listObjectsAtRest(fleet.cluster);
  const roles = await queryAsSuperuser<{ name: string }>(
    fleet.servers.odoo,
    `select rolname as name from pg_roles where rolname like '%${instanceId}_backup'`,
  );
  const open = await queryAsSuperuser<{ name: string }>(
    fleet.servers.odoo,
    `select datname as name from pg_database where datname = 'tombstone_${instanceId}' and datallowconn`,
  );
  const { verification } = fleet.servers;
  const restored =
    verification === undefined
      ? []
      : await queryAsSuperuser<{ name: string }>(
          verification,
          `select datname as name from pg_database where datname ~ '^(verify|trash|making)'
           union all select rolname from pg_roles where rolname like 'verify%'`,
        );
  const running = await fleet.rows<{ name: string }>(
    `select 'row ' || id as name from backups where instance_id = $1 and state = 'running'
     union all select 'row ' || id from verifications where instance_id = $1 and state = 'running'`,
    [instanceId],
  );
  const isWorkers = new RegExp(`^odoo-${instanceId}-(backup|verify|boot)-`);
  return [
    ...objects.filter(({ name }) => isWorkers.test(name)).map(({ kind, name }) => `${kind}/${name}`),
    ...[...roles, ...open, ...restored, ...running].map(({ name }) => name),
  ];
}

/** Statements in an instance's database, as the superuser. */
export async function inDatabase<Row extends object>(fleet: TestFleet, database: string, text: string): Promise<Row[]> {
  return await queryAsSuperuser<Row>(fleet.servers.odoo, text, { database });
}
