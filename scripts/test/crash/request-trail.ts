import { type TestEvent, warningsOf } from '#shared/testing/fleet.ts';
import type { World } from './world.ts';

/**
 * Everything that is known of what became of a request for an operation, a fact per line: for the error of whoever waited
 * for it in vain.
 */
export async function trailOf(world: World, event: TestEvent): Promise<string> {
  const { fleet, gateway, victims } = world;
  const kind = event.type.split('.').at(-2) ?? '';
  const { instance: instanceId } = event.data as { instance: string };
  const { passed, port, losesRequest, underWay } = gateway.passageOf(instanceId, kind);
  const rows = async (what: string, text: string, values: readonly unknown[]) =>
    listed(what, await fleet.rows<Record<string, unknown>>(text, values));
  const records = [
    await rows('inbox', 'select outcome, operation_id, received_at from inbox where source = $1 and id = $2', [
      event.source,
      event.id,
    ]),
    await rows(
      'instance',
      'select status, desired_state, generation, observed_generation, host from instances where id = $1',
      [instanceId],
    ),
    await rows(
      'operation',
      `select id, kind, state, step, round, waiting_for, lease_holder, error_code, error_text, cause, created_at,
         finished_at from operations where instance_id = $1 order by created_at`,
      [instanceId],
    ),
    await rows(
      'dead event',
      'select id, type, received_by, reason_code, reason, state, deliveries, error_code from dead_events',
      [],
    ),
  ];
  const ownVictims = victims.filter((victim) => victim.port === port || victim.functionName === kind).slice(-16);
  return [
    `request ${event.id} of ${instanceId}, seen at ${new Date().toISOString()}`,
    ...records,
    listed('passed the gateway', passed),
    `the gateway ${losesRequest ? 'loses its request' : `sends it to ${port ?? 'the hosts'}`}; ${underWay.size} without answer yet`,
    listed('process with stop points', ownVictims),
    listed('function', fleet.functions.running()),
    listed(
      'trigger',
      Object.entries(fleet.broker.stats().triggers).filter(([name]) => name.startsWith(`${kind}-`)),
    ),
    `warnings of functions:\n${await warningsOf(fleet)}`,
    `warnings of processes with stop points:\n${await warningsOf(fleet, 'victims')}`,
  ].join('\n');
}

function listed(what: string, facts: readonly unknown[]): string {
  return facts.length === 0 ? `no ${what}` : facts.map((fact) => `${what}: ${JSON.stringify(fact)}`).join('\n');
}
