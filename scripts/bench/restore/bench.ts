import { randomUUID } from 'node:crypto';
import { openPublisher, type Publisher } from '#shared/adapters/eventing/publish.ts';
import { untilTrue, whenPageAnswers } from '../conditions.ts';
import { bootAlone } from '../provision/boot.ts';
import { openWorld, type World } from '../provision/world.ts';
import type { BenchReport, Cell } from '../report.ts';
import { median } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { startClient } from './client.ts';

const source = 'urn:bench:user-service';
const timeoutMs = 180_000;
/** What a customer may miss his Odoo for, besides its boot. */
const goalMs = 2_000;

type Restored = {
  what: 'restore' | 'undo';
  downtimeMs: number;
  doneMs: number;
  steps: readonly Step[];
};
type Step = { step: string; ms: number };

/** Restores and undos of a running instance, as a client sees them who asks for its login page every 50 ms. */
export async function benchRestore(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 3;
  const { odoo, say } = surroundings;
  const world = await openWorld(surroundings, { odoo, maxInstances: 100, warmTarget: 2, maxScale: 1 });
  const publisher = openPublisher({ brokerUrl: world.fleet.broker.url });
  try {
    const instanceId = await provisioned(world, 'restored');
    const backup = await carriedOut(world, publisher, { kind: 'backup', instance: instanceId });
    const restored: Restored[] = [];
    for (let round = 0; round < rounds; round += 1) {
      say(`round ${round + 1} of ${rounds}`);
      const restore = await watched(world, publisher, { instance: instanceId, what: 'restore', request: { backup } });
      const request = { undoes: restore.operation };
      const undo = await watched(world, publisher, { instance: instanceId, what: 'undo', request });
      restored.push(restore, undo);
    }
    const boots: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const like = round === 0 ? instanceId : await provisioned(world, `like-${round}`);
      await world.refill(1);
      await world.stopFunctions();
      const name = `boot-${round}`;
      boots.push(await bootAlone(world, { like, name, beforeStart: () => world.retire(like) }));
    }
    return report({ restored, boots }, { odoo, rounds });
  } finally {
    await publisher.end();
    await world.stop();
  }
}

async function provisioned(world: World, name: string): Promise<string> {
  const { instanceIds } = await world.requests.send([name]);
  await whenPageAnswers(pageOf(world), { host: hostOf(world, name), timeoutMs });
  const instanceId = instanceIds[0] ?? '';
  const text = `select 1 from instances where id = $1 and status = 'running'`;
  const runs = async () => (await world.fleet.records.query(text, [instanceId])).rowCount === 1;
  await untilTrue(`${name} to run`, runs, { timeoutMs, everyMs: 100 });
  return instanceId;
}

const pageOf = ({ fleet }: World) => `http://127.0.0.1:${fleet.ingressPort}/web/login`;
const hostOf = ({ fleet }: World, name: string) => `${name}.localhost:${fleet.ingressPort}`;

async function watched(
  world: World,
  publisher: Publisher,
  wanted: { instance: string; what: Restored['what']; request: Record<string, string> },
): Promise<Restored & { operation: string }> {
  const { instance, what, request } = wanted;
  const client = startClient(pageOf(world), hostOf(world, 'restored'));
  const beganMs = performance.now();
  const operation = await carriedOut(world, publisher, { kind: 'restore', instance, ...request });
  const doneMs = performance.now() - beganMs;
  const { downtimeMs } = await client.end();
  return { what, operation, downtimeMs, doneMs, steps: await stepsOf(world, operation) };
}

async function stepsOf({ fleet }: World, operation: string): Promise<readonly Step[]> {
  const { rows } = await fleet.records.query<Step>(
    `select step, extract(epoch from max(finished_at) - min(started_at))::float8 * 1000 as ms
     from operation_steps where operation_id = $1 group by step order by min(started_at)`,
    [operation],
  );
  return rows;
}

/** The operation, which has ended well. */
async function carriedOut(
  { fleet }: World,
  publisher: Publisher,
  { kind, ...data }: { kind: 'backup' | 'restore'; instance: string; backup?: string; undoes?: string },
): Promise<string> {
  const event = { id: randomUUID(), type: `dev.odoofleet.instance.${kind}.requested`, source, data };
  const { failed } = await publisher.publish([event]);
  if (failed[0] !== undefined) throw new Error(`The broker did not take a request: ${failed[0].reason}`);
  const text = `select o.id::text, o.state, o.error_text from inbox b join operations o on o.id = b.operation_id
    where b.source = $1 and b.id = $2`;
  let found: { id: string; state: string; error_text: string | null } | undefined;
  const hasEnded = async () => {
    found = (await fleet.records.query<NonNullable<typeof found>>(text, [source, event.id])).rows[0];
    return found !== undefined && ['succeeded', 'failed', 'cancelled'].includes(found.state);
  };
  await untilTrue(`the ${kind} to end`, hasEnded, { timeoutMs, everyMs: 50 });
  if (found?.state !== 'succeeded') throw new Error(`The ${kind} ${found?.state}: ${found?.error_text ?? ''}`);
  return found.id;
}

function stepRows(restored: readonly Restored[]): Cell[][] {
  const of = (what: Restored['what'], name: string) =>
    restored
      .filter((one) => one.what === what)
      .flatMap(({ steps }) => steps.find(({ step }) => step === name)?.ms ?? []);
  const names = restored[0]?.steps.map(({ step }) => step) ?? [];
  return names.map((name) => [name, median(of('restore', name)), median(of('undo', name))]);
}

function report(
  { restored, boots }: { restored: readonly Restored[]; boots: readonly number[] },
  { odoo, rounds }: { odoo: string; rounds: number },
): BenchReport {
  const boot = median(boots);
  const downtimeOf = (what: Restored['what']) =>
    median(restored.filter((one) => one.what === what).map(({ downtimeMs }) => downtimeMs));
  const rowOf = (what: Restored['what']): Cell[] => {
    const ofIt = restored.filter((one) => one.what === what);
    const downtimes = ofIt.map(({ downtimeMs }) => downtimeMs);
    const downtime = downtimeOf(what);
    return [what, downtime, Math.max(...downtimes), downtime - boot, median(ofIt.map(({ doneMs }) => doneMs))];
  };
  return {
    name: 'restore',
    about: `of a fresh instance with ${odoo === 'real' ? 'the real Odoo 19' : 'the stand-in, which is not Odoo'}, ${rounds} rounds.`,
    tables: [
      {
        title: 'as seen by a client that asks for the login page every 50 ms',
        columns: ['', 'downtime ms', 'most', 'besides the boot', 'whole operation'],
        rows: [rowOf('restore'), rowOf('undo'), ['boot of the same Odoo alone', boot, Math.max(...boots), '', '']],
      },
      {
        title: 'the steps of each, as the records have them',
        columns: ['step', 'restore ms', 'undo ms'],
        rows: stepRows(restored),
      },
    ],
    goals: (['restore', 'undo'] as const).map((what) => ({
      what: `downtime of ${what === 'undo' ? 'an' : 'a'} ${what} besides Odoo's boot`,
      measured: downtimeOf(what) - boot,
      limit: goalMs,
      unit: 'ms',
      is: 'at most',
    })),
    notes: ['Downtime: from the last page before the switch to the first one after it.'],
  };
}
