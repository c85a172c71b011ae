import { afterAll, beforeAll, beforeEach } from 'vitest';
import { statusChanged } from '#events/instance/status-changed.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { settleObservations } from '#shared/runtime/observations.ts';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { insertCatalogue, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { type Answered, type ClusterMessage, deploymentOf, openFunction } from './world.fixture.ts';

export const one = testInstanceId(1);
export const down = (id = one, version?: number) => ({
  data: deploymentOf(id, { available: 0, ...(version === undefined ? {} : { version }) }),
});
export const up = (id = one, version?: number) => ({
  data: deploymentOf(id, version === undefined ? {} : { version }),
});
export const outcomes = (answers: readonly Answered[]) => answers.map(({ outcome }) => outcome);

type Send = ReturnType<typeof openFunction>;
type InstanceRow = { status: string; status_reason: string | null; observation: string | null };

/**
 * Two processes of the function, as far as the rows can tell: each has its batches and its connections. Every test
 * finds no rows. Call it at the top of a file.
 */
export function observersOfThisFile() {
  const made = databaseOfThisFile();
  const database = platformOfThisFile(made);
  let other: Database;
  let sends: { send: Send; sendToOther: Send };
  let flushed = 0;

  beforeAll(async () => {
    const { pooled, ...rest } = made();
    other = openDatabase({
      ...rest,
      ...pooled,
      driver: 'pg',
      applicationName: 'other',
      sslMode: 'disable',
      maxConnections: 2,
      onError: () => undefined,
    });
    await insertCatalogue(database());
    const flush = async () => void (flushed += 1);
    sends = { send: openFunction(database(), flush), sendToOther: openFunction(other) };
  });
  afterAll(() => other.end());
  beforeEach(async () => {
    flushed = 0;
    await database().query(
      'truncate operations, operation_steps, inbox, outbox, instances, suspensions, streams, dead_events cascade',
    );
  });

  async function rowOf(id = one): Promise<InstanceRow | undefined> {
    const text = `select status, status_reason, n.what as observation
      from instances left join observations n on n.instance_id = instances.id where instances.id = $1`;
    return (await database().query<InstanceRow>(text, [id])).rows[0];
  }
  async function told(type: string = statusChanged.type): Promise<{ id: string; data: Record<string, unknown> }[]> {
    const text = 'select id, data, extensions from outbox where type = $1 order by sequence';
    return (await database().query<{ id: string; data: Record<string, unknown> }>(text, [type])).rows;
  }
  const inbox = async () =>
    (await database().query<{ outcome: string }>('select outcome from inbox order by received_at')).rows.map(
      ({ outcome }) => outcome,
    );
  /** What was noted has stood long enough. */
  const letStand = (ms = 2_000) =>
    database().query(`update observations set at = at - $1::integer * interval '1 ms'`, [ms]);

  /** What the tick does of it. */
  const settle = (of = database()) => settleObservations({ database: of, eventSource: 'urn:odoo-fleet' });

  return {
    database,
    others: () => other,
    send: (message: ClusterMessage) => sends.send(message),
    sendToOther: (message: ClusterMessage) => sends.sendToOther(message),
    /** How often the first of them asked for what it told to be sent on. */
    flushes: () => flushed,
    rowOf,
    told,
    inbox,
    letStand,
    settle,
  };
}
