import { readdir, readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { expect, it } from 'vitest';
import { superuserOptions } from '#shared/testing/fleet-traces.ts';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import {
  answers,
  carryOut,
  functionNamespace,
  inDatabase,
  odooPodsOf,
  operationOf,
  podsOf,
  rowOf,
  succeeded,
  toldOf,
} from './instance.fixture.ts';

/** Functions that are at zero, and pods of functions that go away in the middle of their work. */
export function scaleTests(fleet: () => FleetUnderTest): void {
  let instance = '';

  // The ticks wake reconcile every ten seconds, so that it never is at zero for long: they are held back until the event is sent.
  it('lets every function go to zero, and provisions from there', async () => {
    await withoutTicks(fleet(), async () => {
      const isAtZero = async () => (await podsOf(fleet(), functionNamespace, isFunction)).length === 0;
      await until('no pod of any function', isAtZero, { limitMs: 240_000 });
      instance = await fleet().provision('from-zero', { customer: 'scale' });
    });
    expect(await fleet().settled(instance, { limitMs: 600_000 })).toBe('running');
    // before it goes again
    expect(await podsOf(fleet(), functionNamespace, `${isFunction}=provision`)).toHaveLength(1);
    expect((await answers(fleet(), instance, 200)).body).toContain('name="login"');
  }, 1_000_000);

  it('ends an operation once when its function is killed in the middle of a step', async () => {
    const stop = await whileHeld(fleet(), instance, async () => {
      const operation = await operationOf(fleet(), await fleet().request('stop', instance));
      await stepToWait(fleet(), instance);
      await kill(fleet(), 'stop');
      return operation;
    });
    await succeeded(fleet(), stop);
    const steps = await stepsOf(fleet(), stop);
    const cut = { step: 'sessions', outcome: 'failed', error_code: 'fenced' };
    expect(steps).toContainEqual({ ...cut, fence: steps.find(({ error_code }) => error_code === 'fenced')?.fence });
    expect(steps.at(-1)?.outcome).toBe('done');
    expect(await toldOf(fleet(), stop, 'dev.odoofleet.instance.stop.succeeded')).toBe(1);
    expect((await rowOf(fleet(), instance)).status).toBe('stopped');
    expect(await odooPodsOf(fleet(), instance)).toEqual([]);
    expect((await fleet().operationsOf(instance)).filter(({ kind }) => kind === 'stop')).toHaveLength(1);
  }, 300_000);

  it('lets a function end what it is at when its pod is deleted', async () => {
    const start = await whileHeld(fleet(), instance, async () => {
      const operation = await operationOf(fleet(), await fleet().request('start', instance));
      await stepToWait(fleet(), instance);
      const [pod = ''] = await podsOf(fleet(), functionNamespace, `${isFunction}=start`);
      await fleet().kubectl.run(['-n', functionNamespace, 'delete', 'pod', pod, '--wait=false']);
      return operation;
    });
    await succeeded(fleet(), start);
    const steps = await stepsOf(fleet(), start);
    // The step was at work when its pod was told to go: nobody had to take it over.
    expect(steps.filter(({ error_code }) => error_code === 'fenced')).toEqual([]);
    expect(await toldOf(fleet(), start, 'dev.odoofleet.instance.start.succeeded')).toBe(1);
    expect((await answers(fleet(), instance, 200)).body).toContain('name="login"');
    expect(await odooPodsOf(fleet(), instance)).toHaveLength(1);
    expect(await carryOut(fleet(), 'terminate', instance)).toBe('terminated');
  }, 300_000);
}

const isFunction = 'serving.knative.dev/service';

async function withoutTicks(fleet: FleetUnderTest, work: () => Promise<void>): Promise<void> {
  const source = ['-n', functionNamespace, 'pingsource/reconcile'];
  const run = (verb: string, ...args: string[]) => fleet.kubectl.run([verb, ...source, ...args]);
  const set = (schedule: string) => run('patch', '--type=merge', '-p', JSON.stringify({ spec: { schedule } }));
  const schedule = await run('get', '-o', 'jsonpath={.spec.schedule}');
  // Once a year.
  await set('0 0 1 1 *');
  try {
    await work();
  } finally {
    await set(schedule);
  }
}

/** Holds the instance's fence, for which every step at its database server has to wait. */
async function whileHeld<T>(fleet: FleetUnderTest, instanceId: string, work: () => Promise<T>): Promise<T> {
  const client = new Client({ ...superuserOptions(fleet.servers.odoo), database: 'fleet_control' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('begin');
    const { rowCount } = await client.query('select from fence where instance_id = $1 for update', [instanceId]);
    expect(rowCount).toBe(1);
    return await work();
  } finally {
    await client.end();
  }
}

/** A step of the instance waits at the database server: its function is in the middle of it. */
async function stepToWait(fleet: FleetUnderTest, instanceId: string): Promise<void> {
  const text = `select from pg_stat_activity where wait_event_type = 'Lock' and application_name like $1`;
  const isWaiting = async () => (await inDatabase(fleet, 'postgres', text, [`fleet:${instanceId}:%`])).length > 0;
  await until(`a step of ${instanceId} to wait`, isWaiting, { limitMs: 120_000 });
}

/**
 * As a node that is lost: the process is gone at once, and its pod with it. A pod whose object is deleted by force is still
 * given its time by the kubelet.
 */
async function kill(fleet: FleetUnderTest, name: string): Promise<void> {
  const pods = await podsOf(fleet, functionNamespace, `${isFunction}=${name}`);
  expect(pods).toHaveLength(1);
  for (const pid of await processesOf(name, pods)) process.kill(pid, 'SIGKILL');
  const force = ['--grace-period=0', '--force', '--wait=false'];
  await fleet.kubectl.run(['-n', functionNamespace, 'delete', 'pod', ...pods, ...force]);
}

/** Processes of a function on this machine, by the environment that their pods gave them. */
async function processesOf(name: string, pods: readonly string[]): Promise<number[]> {
  const found: number[] = [];
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    // Of one that has ended meanwhile there is nothing to read.
    const variables = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0');
    const isOurs = pods.some((pod) => variables.includes(`HOSTNAME=${pod}`));
    if (isOurs && variables.includes(`FUNCTION_TARGET=${name}`)) found.push(Number(pid));
  }
  expect(found).not.toEqual([]);
  return found;
}

type StepRow = { step: string; fence: number; outcome: string | null; error_code: string | null };

function stepsOf(fleet: FleetUnderTest, operationId: string): Promise<StepRow[]> {
  return fleet.rows<StepRow>(
    'select step, fence, outcome, error_code from operation_steps where operation_id = $1 order by started_at',
    [operationId],
  );
}
