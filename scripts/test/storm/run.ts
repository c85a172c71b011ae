import { join } from 'node:path';
import { openStandInCrowd } from '#shared/sandbox/odoo/stand-in-crowd.ts';
import { startTestFleet, type TestFleet, until, untilWarm } from '#shared/testing/fleet.ts';
import { compare } from './compare.ts';
import { carryOutMishaps } from './mishaps.ts';
import { type KnownEvent, type ModelInput, runModel } from './model.ts';
import { type Observed, observeWorld } from './observe.ts';
import { planStorm, type StormEvent, type StormPlan, type StormSize, stormDelivery, withBackups } from './plan.ts';
import { openPublisher } from './publisher.ts';
import { type Quiet, untilQuiet } from './quiet.ts';
import type { StormReport } from './report.ts';

export type StormOptions = StormSize & {
  /** How long the fleet may take to come to rest. */
  quietTimeoutMs: number;
  say: (line: string) => void;
  /** Kept for whoever looks into what went wrong; a temporary one, removed at the end, unless stated. */
  folder?: string;
};

/** Of every ten events one is lost, one comes twice, one is held back; all are late by up to a quarter of a second. */
const faults = { dropPercent: 10, duplicatePercent: 10, delayMs: 250, reorderPercent: 10, reorderMs: 1_500 };

/** Quicker than as shipped, so that what only time heals is healed while one waits. */
const functionSettings = { LEASE_MS: '10000', RECONCILE_EVERY_MS: '30000', LOG_LEVEL: 'warn' };

/** A fleet, its storm, and what is left when it is quiet again. */
export async function runStorm(options: StormOptions): Promise<StormReport> {
  const { say } = options;
  const plan = planStorm(options);
  const startedAtMs = performance.now();
  const { fleet, end } = await startTestFleet({
    ...(options.folder === undefined ? {} : { folder: options.folder }),
    odooServers: 2,
    hasVerificationServer: true,
    schedulesBackups: true,
    maxInstances: options.instances * 2,
    // every instance holds two connections, and the functions some more
    postgresSettings: { max_connections: String(200 + options.instances * 3) },
    nodeProcesses: (processes, { folder }) => openStandInCrowd(processes, { logFile: join(folder, 'crowd.log') }),
    delivery: stormDelivery,
    functionSettings,
    tickMs: 2_000,
    warmTarget: 2,
  });
  try {
    await fleet.records.query(`update plans set undo_days = 0 where id = 'standard'`);
    await untilWarm(fleet);
    await untilVerifying(fleet);
    say(`a fleet of two Odoo servers is up after ${secondsSince(startedAtMs)} s`);
    return await storm(fleet, plan, { ...options, startedAtMs });
  } finally {
    await end();
  }
}

async function storm(
  fleet: TestFleet,
  planned: StormPlan,
  { say, quietTimeoutMs, startedAtMs }: StormOptions & { startedAtMs: number },
): Promise<StormReport> {
  const publisher = openPublisher(fleet);
  try {
    await publisher.sendInTime(planned.beginning);
    await untilAllRun(fleet, planned, say);
    await publisher.sendInTime(planned.prepared);
    const plan = withBackups(planned, await untilBackedUp(fleet, planned));
    const preparedSeconds = secondsSince(startedAtMs);
    say(
      `${plan.instances.length} instances run after ${preparedSeconds} s; now ${plan.events.length} events in ${plan.seconds} s`,
    );

    const stormStartedAtMs = performance.now();
    fleet.broker.setFaults({ ...faults, random: plan.seed });
    const [mishaps] = await Promise.all([carryOutMishaps(fleet, plan.mishaps), publisher.sendInTime(plan.events)]);
    fleet.broker.setFaults(undefined);
    const stormSeconds = secondsSince(stormStartedAtMs);
    say(`the storm is over after ${secondsSince(startedAtMs)} s; waiting until nothing moves`);
    const missing = await publisher.untilTaken(quietTimeoutMs);
    const quiet = await untilAtRest(fleet, { quietTimeoutMs, say });
    const observed = await observeWorld(fleet, fleet.cluster);
    const input = modelInput(plan, observed);
    const model = runModel(input);
    return {
      plan,
      preparedSeconds,
      stormSeconds,
      quiet,
      totalSeconds: secondsSince(startedAtMs),
      mishaps,
      publisher: { ...publisher.counted(), missing: missing.length },
      broker: fleet.broker.stats(),
      counted: model.counted,
      observed: countsOf(observed),
      violations: compare({ plan, observed, input, model }),
    };
  } finally {
    await publisher.stop();
  }
}

/**
 * Waits until nothing moves, and keeps it so: each minute the schedule asks for what has become due meanwhile, such as the
 * verification of a backup of the storm, and would do so amid the look at the records, too.
 */
async function untilAtRest(
  fleet: TestFleet,
  { quietTimeoutMs, say }: Pick<StormOptions, 'quietTimeoutMs' | 'say'>,
): Promise<Quiet> {
  const options = { timeoutMs: quietTimeoutMs, onLook: progress(say) };
  const quiet = await untilQuiet(fleet, options);
  if (!quiet.isQuiet) return quiet;
  await fleet.records.query(
    `insert into leases (name, holder, until) values ('backup-schedule', 'the storm', clock_timestamp() + interval '1 day')
     on conflict (name) do update set holder = excluded.holder, until = excluded.until`,
  );
  const again = await untilQuiet(fleet, options);
  return { ...again, seconds: quiet.seconds + again.seconds };
}

/** Until then verifications wait for a server, and that is not what the storm is about. */
async function untilVerifying(fleet: TestFleet): Promise<void> {
  const text = `select 1 from db_servers where purpose = 'verification' and reached_at is not null`;
  await until('the server for verifications to be reached', async () => (await fleet.rows(text)).length > 0);
}

const startWithinMs = 10 * 60_000;

async function untilAllRun(fleet: TestFleet, plan: StormPlan, say: (line: string) => void): Promise<void> {
  let told = 0;
  await until(
    `${plan.instances.length} instances to run`,
    async () => {
      const [row] = await fleet.rows<{ running: number; failed: number }>(
        `select count(*) filter (where i.status = 'running')::integer as running,
           count(*) filter (where o.state = 'failed')::integer as failed
         from instances i join operations o on o.instance_id = i.id`,
      );
      if ((row?.failed ?? 0) > 0) throw new Error('a provisioning failed before the storm');
      if (Date.now() - told > 10_000) {
        told = Date.now();
        say(`${row?.running ?? 0} of ${plan.instances.length} run`);
      }
      return row?.running === plan.instances.length;
    },
    { timeoutMs: startWithinMs, everyMs: 500 },
  );
}

/** The backups by their instances. */
async function untilBackedUp(fleet: TestFleet, { prepared }: StormPlan): Promise<Map<string, string>> {
  const text = `select id::text, instance_id as "instanceId" from operations where kind = 'backup' and state = 'succeeded'`;
  const made = () => fleet.rows<{ id: string; instanceId: string }>(text);
  const isDone = async () => (await made()).length === prepared.length;
  await until(`${prepared.length} backups`, isDone, { timeoutMs: startWithinMs, everyMs: 500 });
  return new Map((await made()).map(({ id, instanceId }) => [instanceId, id]));
}

/** The storm's own events, and those that the platform asked for itself. */
function modelInput(plan: StormPlan, observed: Observed): ModelInput {
  const own = [...plan.beginning, ...plan.prepared, ...plan.events].map((event) => [event.id, knownOf(event)] as const);
  const asked = observed.requests.map(({ id, source, type, data }): [string, KnownEvent] => {
    return [id, { source, ...sayingOf({ type, data }), instance: String(data['instance']), news: undefined }];
  });
  const withoutUndo = [...plan.instances, ...plan.latecomers].filter((one) => one.plan === 'standard');
  return {
    audit: observed.audit,
    events: new Map([...own, ...asked]),
    withoutUndo: new Set(withoutUndo.map(({ id }) => id)),
  };
}

function knownOf({ source, type, data, instance, news }: StormEvent): KnownEvent {
  return { source, ...sayingOf({ type, data }), instance, news };
}

function sayingOf(event: Pick<StormEvent, 'type' | 'data'>): Pick<KnownEvent, 'cause' | 'sequence'> {
  const { sequence, kind, backup } = event.data;
  const causes: Record<string, unknown> = { backup: kind ?? 'manual', verify: backup, restore: backup };
  const cause = causes[event.type.split('.').at(-2) ?? ''] ?? event.data['cause'];
  return {
    cause: typeof cause === 'string' ? cause : null,
    sequence: typeof sequence === 'number' ? sequence : undefined,
  };
}

function countsOf(observed: Observed): StormReport['observed'] {
  const tally = (words: readonly string[]) => {
    const counts: Record<string, number> = {};
    for (const word of words.toSorted()) counts[word] = (counts[word] ?? 0) + 1;
    return counts;
  };
  return {
    statuses: tally(observed.instances.map(({ status, purged_at }) => (purged_at === null ? status : 'purged'))),
    operations: tally(observed.operations.map(({ kind, state }) => `${kind} ${state}`)),
    outcomes: tally(observed.inbox.map(({ outcome }) => outcome)),
    dead: tally(
      observed.dead.flatMap(({ state, reason_code, count }) =>
        Array.from({ length: count }, () => `${state} ${reason_code}`),
      ),
    ),
    backups: tally(observed.backups.made.map(({ kind, state, proof }) => `${kind} ${state} ${proof}`)),
    auditEntries: observed.audit.length,
  };
}

function progress(say: (line: string) => void): (moving: Readonly<Record<string, number>>) => void {
  let told = 0;
  return (moving) => {
    if (Date.now() - told < 10_000) return;
    told = Date.now();
    const left = Object.entries(moving).filter(([, count]) => count > 0);
    say(left.length === 0 ? 'nothing moves' : left.map(([what, count]) => `${count} ${what}`).join(', '));
  };
}

function secondsSince(startedAtMs: number): number {
  return Math.round((performance.now() - startedAtMs) / 1_000);
}
