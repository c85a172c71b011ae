import { beforeAll, beforeEach, expect } from 'vitest';
import { eventByType } from '#events/catalogue.ts';
import { checkData } from '#events/check.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { operationRecords } from '#shared/adapters/postgres/operation-records.ts';
import { insertOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { placement } from '#shared/adapters/postgres/placement.ts';
import type { TenantCluster } from '#shared/domain/instance/ports.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { advance } from '#shared/runtime/operation/advance.ts';
import { commandOperation } from '#shared/runtime/operation/command.ts';
import { fakeInstancePorts } from '#shared/testing/fakes/instance-ports.ts';
import { insertCatalogue, insertServer, insertTestInstance } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { provisionOperation } from './operation.ts';

export const instanceId = 'abcdefgh2345';
export const eventSource = 'urn:odoo-fleet';

/** A platform database with one instance that is to be provisioned, anew for each test, and what is to be seen in it. */
export function provisionsOfThisFile() {
  const database = platformOfThisFile();
  beforeAll(() => insertCatalogue(database()));
  beforeEach(async () => {
    await database().query(
      'truncate operations, operation_steps, inbox, outbox, instances, suspensions, db_servers cascade',
    );
    await insertServer(database(), { id: 'one', maxInstances: 5 });
    await insertTestInstance(database(), instanceId);
  });

  async function instance(): Promise<Record<string, unknown>> {
    const { rows } = await database().query<Record<string, unknown>>('select * from instances where id = $1', [
      instanceId,
    ]);
    return rows[0] ?? {};
  }

  /** What was told, in order; every event of it is one that its receivers can read. */
  async function told(): Promise<{ type: string; data: Record<string, unknown> }[]> {
    const { rows } = await database().query<{ type: string; data: Record<string, unknown> }>(
      `select replace(type, 'dev.odoofleet.', '') as type, data from outbox order by sequence`,
    );
    for (const { type, data } of rows) {
      const definition = eventByType(`dev.odoofleet.${type}`);
      expect(definition && checkData(definition, data), type).toMatchObject({ accepted: true });
    }
    return rows;
  }

  const statusesTold = async () =>
    (await told())
      .filter(({ type }) => type === 'instance.status.changed')
      .map(({ data }) => `${String(data['from'])} ${String(data['to'])}`);

  const audited = async (operationId: string) =>
    (
      await database().query<{ action: string }>('select action from audit where operation_id = $1 order by sequence', [
        operationId,
      ])
    ).rows.map(({ action }) => action);

  return { database, makeOperation: () => makeOperation(database()), instance, told, statusesTold, audited };
}

/** The real records, an Odoo server and a cluster in memory, and one operation to carry out. */
async function makeOperation(database: Database) {
  const { world, ports } = fakeInstancePorts();
  world.warm = 5;
  const objects = new Set<string>();
  const cluster: TenantCluster = {
    look: async (_instance, part) => (objects.has(part) ? 'done' : 'missing'),
    apply: async (_instance, part) => void objects.add(part),
    remove: async (_instance, part) => void objects.delete(part),
    lookScale: async () => 'done',
    applyScale: async () => {},
    isGone: async (_instance, part) => !objects.has(part),
    countPods: async () => 0,
    availability: async () => ({ available: true, reason: '' }),
  };
  const http = { loginPageAnswers: async () => ({ answers: true, reason: '' }) };
  const all = { ...ports, cluster, http, placement: placement(database) };
  const work = provisionOperation(database, { ports: all, eventSource });
  const operationId = newOperationId();
  const { kind, version, deadlineMs } = work.definition;
  await insertOperation(database, {
    id: operationId,
    instanceId,
    kind,
    definitionVersion: version,
    deadlineMs,
    idempotencyKey: operationId,
    requestedBy: 'urn:user-service',
    cause: 'event ä\u{1f418}',
    request: {},
  });
  const options = { records: operationRecords(database), holder: 'test', leaseMs: 30_000, budgetMs: 25_000 };
  let commands = 0;
  const command = (word: 'retry' | 'cancel', change: { instanceId?: string; kind?: string; id?: string } = {}) =>
    commandOperation(
      database,
      {
        source: 'urn:console',
        id: change.id ?? `command ${(commands += 1)}`,
        type: `operation.${word}`,
        dataHash: Buffer.alloc(32, word),
      },
      {
        word,
        operationId,
        instanceId: change.instanceId ?? instanceId,
        definition: { ...work.definition, kind: change.kind ?? 'provision' },
        reason: 'Because.',
        customerId: null,
      },
    );
  return { world, objects, ports: all, work, operationId, command, go: () => advance(work, operationId, options) };
}
