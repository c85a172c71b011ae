import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import { forgetResolved, listOpenFindings, stoodFor, writeChanges } from '#shared/adapters/postgres/findings.ts';
import { correctServerCount } from '#shared/adapters/postgres/fleet-facts.ts';
import { finishShard, type TakenShard } from '#shared/adapters/postgres/reconcile-shards.ts';
import { hasInstance } from '#shared/adapters/postgres/shard-instances.ts';
import { type Changes, changesOf } from '#shared/domain/drift/changes.ts';
import { type FoundOrphan, keyOf, withoutSettled } from '#shared/domain/drift/findings.ts';
import { ruleOf } from '#shared/domain/drift/policy.ts';
import { recordSights } from '../observations.ts';
import { askForOperations } from './ask.ts';
import type { ReconcileEngine } from './engine.ts';
import { type Look, lookAtFleet, lookAtShard } from './look.ts';
import type { Unanswering } from './surveys.ts';

/** What a pass came to. `written` counts rows of findings. */
export type PassReport = {
  shard: string;
  instances: number;
  findings: number;
  written: number;
  asked: number;
  /** Places that could not be read. */
  blind: readonly string[];
};

/** The part of the fleet that is no shard. */
export const fleetShard = 'fleet';

/** For people who look back; nothing reads them again. */
const findingsKeptDays = 90;

/**
 * One pass over a taken shard: looks, puts right the statuses that the cluster contradicts, writes what is different from
 * what is known, and asks for what is to be done.
 * When nothing drifted nothing is written but the shard's own row. Undefined when the lease was lost meanwhile.
 */
export async function pass(
  engine: ReconcileEngine,
  taken: TakenShard,
  unanswering: Unanswering,
): Promise<PassReport | undefined> {
  const isFleet = taken.shard === fleetShard;
  const look = isFleet
    ? await lookAtFleet(engine)
    : await settle(engine, taken, await lookAtShard(engine, { shard: taken.shard, began: taken.began, unanswering }));
  const written = await write(engine, taken, look);
  if (written === undefined) return undefined;
  for (const finding of written.changes.appeared) engine.onFinding(finding);
  if (isFleet) {
    await correctCounts(engine, look.miscounted);
    await forgetResolved(engine.database, { olderThanDays: findingsKeptDays, limit: 1_000 });
  } else {
    await quarantine(engine, look.orphans);
  }
  const { appeared, altered, gone } = written.changes;
  return {
    shard: taken.shard,
    instances: look.instances,
    findings: look.findings.length,
    written: appeared.length + altered.length + gone.length,
    asked: written.asked,
    blind: [...look.blind.places],
  };
}

/** Puts statuses right that the cluster contradicts; first, as nothing is to be asked for what is right then. */
async function settle(engine: ReconcileEngine, { shard, began }: TakenShard, look: Look): Promise<Look> {
  try {
    const changed = await recordSights(look.contradictions, { since: began }, engine);
    return { ...look, findings: withoutSettled(look.findings, changed) };
  } catch (error) {
    engine.onTrouble(`statuses of shard ${shard}`, error);
    return look;
  }
}

async function write(
  { database, eventSource, settings }: ReconcileEngine,
  taken: TakenShard,
  look: Look,
): Promise<{ changes: Changes; asked: number } | undefined> {
  const blind = [...look.blind.places].sort();
  return await database.transaction(async (transaction) => {
    if (!(await finishShard(transaction, taken, { everyMs: settings.everyMs, blind }))) return undefined;
    const open = await listOpenFindings(transaction, taken.shard);
    const changes = changesOf(open, look.findings, look.blind);
    await writeChanges(transaction, taken.shard, changes);
    const asked = await askForOperations(transaction, look.findings, { eventSource, settings });
    return { changes, asked };
  });
}

/** A count is a number of ours that follows from the rows beside it: it is put right here, under its lock. */
async function correctCounts({ database, holder, onTrouble }: ReconcileEngine, serverIds: readonly string[]) {
  for (const serverId of serverIds) {
    try {
      await correctServerCount(database, serverId, (transaction, corrected) =>
        appendAudit(transaction, {
          actor: `reconcile ${holder}`,
          action: 'server-count.corrected',
          detail: { server: serverId, ...corrected },
        }),
      );
    } catch (error) {
      onTrouble(`count of instances of server ${serverId}`, error);
    }
  }
}

/** Orphans that have stood for long are put out of use; never one whose instance has a row by now. */
async function quarantine(engine: ReconcileEngine, orphans: readonly FoundOrphan[]): Promise<void> {
  const { database, settings, holder, onTrouble } = engine;
  const able = orphans.filter(
    ({ finding, orphan }) => ruleOf(finding.kind)?.policy === 'quarantine' && orphan.quarantine !== undefined,
  );
  if (able.length === 0) return;
  const findings = able.map(({ finding }) => finding);
  const old = new Set((await stoodFor(database, findings, { days: settings.orphanQuarantineDays })).map(keyOf));
  for (const { finding, orphan } of able.filter((one) => old.has(keyOf(one.finding)))) {
    try {
      if (orphan.instanceId !== null && (await hasInstance(database, orphan.instanceId))) continue;
      await orphan.quarantine?.();
      await appendAudit(database, {
        actor: `reconcile ${holder}`,
        action: 'orphan.quarantined',
        instanceId: orphan.instanceId,
        detail: { kind: finding.kind, subject: finding.subject },
      });
    } catch (error) {
      onTrouble(`quarantine of ${finding.subject}`, error);
    }
  }
}
