import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { provisionRequested } from '#events/instance/provision-requested.ts';
import { openPublisher } from '#shared/adapters/eventing/publish.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import type { LocalFleet } from './local-fleet.ts';

/** The `source` of the user service this program stands for. */
const userService = 'urn:local:user-service';

/** Knative's in-memory broker may take a while on a machine that is busy starting it. */
const publishTimeoutMs = 30_000;

/** One step of an operation as its rows tell. */
export type StepTime = { step: string; seconds: number; outcome: string };

export type Followed = { operationId: string; state: string; errorText: string | null; steps: StepTime[] };

/**
 * Publishes the request to the broker the way a user service would. The idempotency key is the name: asking again
 * names the same instance. Returns its id.
 */
export async function requestInstance(
  fleet: LocalFleet,
  request: { name: string; email: string; customer?: string; modules?: string[] },
): Promise<string> {
  const key = `local-${request.name}`;
  const publisher = openPublisher({ brokerUrl: fleet.brokerUrl, timeoutMs: publishTimeoutMs });
  try {
    const data = {
      customer: request.customer ?? 'local',
      name: request.name,
      plan: 'small',
      owner: { email: request.email },
      idempotencykey: key,
      ...(request.modules === undefined ? {} : { modules: request.modules }),
    };
    const { failed } = await publisher.publish([
      { id: randomUUID(), type: provisionRequested.type, source: userService, data },
    ]);
    if (failed[0] !== undefined) throw new Error(`The broker did not take the request: ${failed[0].reason}`);
  } finally {
    await publisher.end();
  }
  return deriveInstanceId(userService, key);
}

type OperationRow = { id: string; state: string; error_text: string | null; waiting_for: string | null };

/** Follows the provisioning of an instance in the records until it has ended, telling each new thing once. */
export async function followProvision(
  records: Queryable,
  instanceId: string,
  options: { onStep: (step: StepTime) => void; onWaiting: (what: string) => void; timeoutMs: number },
): Promise<Followed> {
  const deadline = Date.now() + options.timeoutMs;
  const told = new Set<string>();
  let waiting = '';
  for (;;) {
    const { rows } = await records.query<OperationRow>(
      `select id, state, error_text, waiting_for from operations where instance_id = $1 and kind = 'provision'`,
      [instanceId],
    );
    const operation = rows[0];
    if (operation !== undefined) {
      const steps = await readSteps(records, operation.id);
      for (const step of steps) {
        if (step.outcome !== 'done' || told.has(step.step)) continue;
        told.add(step.step);
        options.onStep(step);
      }
      if (operation.waiting_for !== null && operation.waiting_for !== waiting) options.onWaiting(operation.waiting_for);
      waiting = operation.waiting_for ?? waiting;
      if (['succeeded', 'failed', 'cancelled'].includes(operation.state)) {
        return { operationId: operation.id, state: operation.state, errorText: operation.error_text, steps };
      }
    }
    const refusal = operation === undefined ? await refusalOf(records, instanceId) : undefined;
    if (refusal !== undefined) throw new Error(`The request was refused: ${refusal}`);
    if (Date.now() > deadline) throw new Error(`The instance was not ready in ${options.timeoutMs / 1000} s.`);
    await delay(50);
  }
}

/** The time each step took: from its first beginning to its end, waits between tries included. */
async function readSteps(records: Queryable, operationId: string): Promise<StepTime[]> {
  const { rows } = await records.query<{ step: string; seconds: number; outcome: string | null }>(
    `select step, extract(epoch from max(coalesce(finished_at, clock_timestamp())) - min(started_at))::float8 as seconds,
       (array_agg(outcome order by started_at desc))[1] as outcome
     from operation_steps where operation_id = $1 group by step order by min(started_at)`,
    [operationId],
  );
  return rows.map(({ step, seconds, outcome }) => ({ step, seconds, outcome: outcome ?? 'at work' }));
}

async function refusalOf(records: Queryable, instanceId: string): Promise<string | undefined> {
  const { rows } = await records.query<{ reason: string }>(
    `select detail ->> 'text' as reason from audit where instance_id = $1 and action = 'provision.refused'
     union all select reason from dead_events where source = $2 limit 1`,
    [instanceId, userService],
  );
  return rows[0]?.reason;
}
