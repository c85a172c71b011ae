import type { ReconcileEngine } from '#shared/runtime/reconcile/engine.ts';
import type { PassReport } from '#shared/runtime/reconcile/pass.ts';
import { reconcileDueShards } from '#shared/runtime/reconcile/shards.ts';
import { type Wake, wakeDueOperations } from './due-operations.ts';
import { sweepOutbox } from './outbox-sweep.ts';
import { keepServers, type ServerUpkeep } from './server-upkeep.ts';
import type { WarmReport } from './warm-databases.ts';

/** No shard is begun after this much of the tick: one that hangs takes another 8 s, and ticks come every 10 s. */
const shardsUntilMs = 10_000;

/** A piece of a tick that is bounded, repeatable, and stands for itself. */
export type TickPart = { name: string; run: () => Promise<unknown> };

export type ReconcileDependencies = Wake &
  ServerUpkeep & {
    engine: Omit<ReconcileEngine, 'database' | 'holder' | 'eventSource' | 'onTrouble'>;
    /** Upkeep of others: what only time brings about. */
    parts: readonly TickPart[];
    /** Those that take their time: they run beside the servers and the shards. */
    slowParts?: readonly TickPart[];
  };

export type TickReport = {
  published: number;
  woken: number;
  straight: number;
  failed: number;
  warm: readonly WarmReport[];
  passes: readonly PassReport[];
};

/**
 * One tick: publishes what the outbox still holds, wakes due operations, does what time brings about, keeps the database
 * servers, and compares the shards that are due with the world. Each part is repeatable and bounded; two ticks at once
 * share the work. A part that fails does not keep the others from running.
 */
export async function tick(dependencies: ReconcileDependencies): Promise<TickReport> {
  const began = performance.now();
  const { database, holder, eventSource, onTrouble } = dependencies;
  const engine = { ...dependencies.engine, database, holder, eventSource, onTrouble };
  const report: TickReport = { published: 0, woken: 0, straight: 0, failed: 0, warm: [], passes: [] };
  const note = (part: Partial<TickReport>) => void Object.assign(report, part);
  const quick: TickPart[] = [
    { name: 'outbox', run: async () => note({ published: await sweepOutbox(dependencies) }) },
    { name: 'due operations', run: async () => note(await wakeDueOperations(dependencies)) },
    ...dependencies.parts,
  ];
  const leftMs = () => shardsUntilMs - (performance.now() - began);
  const slow: TickPart[] = [
    { name: 'database servers', run: async () => note({ warm: await keepServers(dependencies) }) },
    { name: 'shards', run: async () => note({ passes: await reconcileDueShards(engine, { budgetMs: leftMs() }) }) },
    ...(dependencies.slowParts ?? []),
  ];
  const errors: unknown[] = [];
  const run = async (part: TickPart) => {
    try {
      await part.run();
    } catch (error) {
      errors.push(error);
      onTrouble(part.name, error);
    }
  };
  for (const part of quick) await run(part);
  // Clones take their time, and the world is to be looked at all the same.
  await Promise.all(slow.map(run));
  // Nothing could be done at all: let the source of the ticks know.
  if (errors.length === quick.length + slow.length) throw errors[0];
  return report;
}
