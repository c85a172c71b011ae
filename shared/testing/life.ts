import { randomUUID } from 'node:crypto';
import { shardOf } from '#shared/adapters/kubernetes/resources/labels.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import { instanceIdOf, provisionRequest, type TestEvent, type TestFleet, until, userService } from './fleet.ts';

// What tests of the life of instances say and look at, on a whole fleet.

/** A request for an operation, as a user service sends it. */
export function lifeRequest(
  kind: Exclude<OperationKind, 'provision'>,
  instanceId: string,
  data: Record<string, unknown> = {},
): TestEvent {
  const type = `dev.odoofleet.instance.${kind}.requested`;
  return { id: randomUUID(), type, source: userService, data: { instance: instanceId, ...data } };
}

export type InstanceSeen = {
  status: string;
  desired_state: string;
  host: string | null;
  generation: number;
  observed_generation: number;
  purged_at: Date | null;
  db_server_id: string | null;
};

export type LifeOperation = {
  id: string;
  kind: string;
  state: string;
  step: string | null;
  error_code: string | null;
  error_text: string | null;
  result: { result?: string } | null;
};

export async function instanceSeen(fleet: TestFleet, instanceId: string): Promise<InstanceSeen> {
  const rows = await fleet.rows<InstanceSeen>(
    `select status, desired_state, host, generation, observed_generation, purged_at, db_server_id
     from instances where id = $1`,
    [instanceId],
  );
  if (rows[0] === undefined) throw new Error(`There is no instance ${instanceId}.`);
  return rows[0];
}

export async function operationsOf(fleet: TestFleet, instanceId: string): Promise<LifeOperation[]> {
  return await fleet.rows<LifeOperation>(
    `select id, kind, state, step, error_code, error_text, result from operations where instance_id = $1
     order by created_at, id`,
    [instanceId],
  );
}

/** Waits until nothing is unfinished on the instance. @throws Error at once when an operation failed. */
export async function settled(fleet: TestFleet, instanceId: string): Promise<InstanceSeen> {
  return await until(
    `the operations of ${instanceId} to end`,
    async () => {
      const operations = await operationsOf(fleet, instanceId);
      const failed = operations.find(({ state }) => state === 'failed');
      if (failed !== undefined) throw new Error(`${failed.kind} failed in ${failed.step}: ${failed.error_text}`);
      const isOver = operations.every(({ state }) => state === 'succeeded' || state === 'cancelled');
      return isOver ? await instanceSeen(fleet, instanceId) : undefined;
    },
    { timeoutMs: 60_000 },
  );
}

/** Where tests put what has no record. */
const shardsOfNobody = ['x', 'y', 'z'];
const shardsTaken = new WeakMap<TestFleet, Set<string>>();

/**
 * A request for an instance that reconcile looks at together with no other of these tests: one that a test has left
 * broken is found again, and repaired again, whenever its shard is looked at.
 */
function requestInOwnShard(fleet: TestFleet, name: string, data: Record<string, unknown>): TestEvent {
  const taken = shardsTaken.get(fleet) ?? new Set(shardsOfNobody);
  shardsTaken.set(fleet, taken);
  for (let tries = 0; ; tries += 1) {
    const event = provisionRequest(name, data);
    const shard = shardOf(instanceIdOf(event));
    if (taken.has(shard) && tries < 1_000) continue;
    taken.add(shard);
    return event;
  }
}

/** Provisions an instance and waits until it runs. */
export async function runningInstance(
  fleet: TestFleet,
  name: string,
  data: Record<string, unknown> = {},
): Promise<string> {
  const event = requestInOwnShard(fleet, name, data);
  await fleet.publish(event);
  const instanceId = instanceIdOf(event);
  await until(`${name} to be accepted`, () => fleet.operationOf(instanceId));
  await settled(fleet, instanceId);
  return instanceId;
}

/** Asks for an operation and waits until it, and whatever it waited for, has ended well; gives what was seen then. */
export async function carryOut(
  fleet: TestFleet,
  kind: Exclude<OperationKind, 'provision'>,
  instanceId: string,
  data: Record<string, unknown> = {},
): Promise<InstanceSeen> {
  const event = lifeRequest(kind, instanceId, data);
  await fleet.publish(event);
  await outcomeOf(fleet, event);
  return await settled(fleet, instanceId);
}

/** What the inbox says the event came to; waits for it. */
export async function outcomeOf(fleet: TestFleet, event: TestEvent): Promise<string> {
  return await until(`event ${event.type} to be taken`, async () => {
    const text = 'select outcome from inbox where source = $1 and id = $2';
    return (await fleet.rows<{ outcome: string }>(text, [event.source, event.id]))[0]?.outcome;
  });
}

/** Waits until the host of the instance of this name answers with the status. */
export async function pageAnswers(fleet: TestFleet, name: string, status: number): Promise<void> {
  await until(`${name} to answer ${status}`, async () => (await fleet.loginPage(name)) === status);
}
