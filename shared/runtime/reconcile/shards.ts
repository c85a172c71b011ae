import { randomUUID } from 'node:crypto';
import { postponeShard, takeDueShard } from '#shared/adapters/postgres/reconcile-shards.ts';
import type { ReconcileEngine } from './engine.ts';
import { type PassReport, pass } from './pass.ts';
import type { Unanswering } from './surveys.ts';

/** Longer than a pass takes; a holder that dies keeps others off its shard for this long at most. */
const leaseMs = 60_000;

/** Shards one tick takes at most. With 33 of them, a pass each in five minutes and a tick every ten seconds, one would do. */
const shardsPerTick = 8;

/** A pass whose records could not be read is tried again after this. */
const tryAgainMs = 30_000;

/**
 * Passes over the shards that are due, one after the other, until none is, `budgetMs` are over or enough were done.
 * Several processes share them. A shard whose pass fails is tried again later and keeps no other from its turn.
 */
export async function reconcileDueShards(
  engine: ReconcileEngine,
  options: { budgetMs: number },
): Promise<readonly PassReport[]> {
  const until = performance.now() + options.budgetMs;
  // A holder of its own for each run: two that overlap in one process must keep each other out, too.
  const holder = `${engine.holder} ${randomUUID()}`;
  const unanswering: Unanswering = new Set();
  const reports: PassReport[] = [];
  for (let taken = 0; taken < shardsPerTick && performance.now() < until; taken += 1) {
    const shard = await takeDueShard(engine.database, { holder, leaseMs });
    if (shard === undefined) break;
    try {
      const report = await pass(engine, shard, unanswering);
      if (report !== undefined) reports.push(report);
    } catch (error) {
      engine.onTrouble(`shard ${shard.shard}`, error);
      await postponeShard(engine.database, shard, { inMs: tryAgainMs });
    }
  }
  return reports;
}
