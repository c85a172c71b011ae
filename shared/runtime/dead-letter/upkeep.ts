import { randomUUID } from 'node:crypto';
import type { Database } from '#shared/adapters/postgres/database.ts';
import {
  claimDueEvents,
  forgetResolved,
  giveUpOverdue,
  resolveQuiet,
  settleReplay,
} from '#shared/adapters/postgres/dead-event-replays.ts';
import { trimKeys } from '#shared/adapters/postgres/idempotency-keys.ts';
import { inboxKeptDays, trimInbox } from '#shared/adapters/postgres/inbox-retention.ts';
import { releaseLease, takeLease } from '#shared/adapters/postgres/leases.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { type ReplayParts, replayOne } from './replay.ts';
import { importSpool } from './spool.ts';
import { maxReplays, replayWaits } from './waits.ts';

export type DeadLetterUpkeep = ReplayParts & {
  database: Database;
  /** Names this process in leases. */
  holder: string;
  /** Where dead letters are kept while the database is away; undefined when none is configured. */
  spool: ObjectStore | undefined;
  /** A part that failed; the others run all the same. */
  onTrouble(what: string, error: unknown): void;
  /** No part begins another batch after this. Default 10,000 ms; a replay that hangs adds the sender's timeout. */
  budgetMs?: number;
};

/** What one run did. */
export type DeadLetterReport = {
  imported: number;
  /** Keys in the spool that are no dead letters of ours. */
  unreadable: readonly string[];
  /** Sent again and taken: by its function, or by the broker. */
  replayed: number;
  failed: number;
  givenUp: number;
  /** Inbox rows that were old enough to be deleted. */
  trimmed: number;
};

/** Sent at the same time; also what a taker that dies leaves for its next wait. */
const batch = 16;
/** A day less than the inbox keeps: after that a replay could do again what was done. */
const replayableDays = inboxKeptDays - 1;
/** A broker's retries are over after some eight minutes. */
const quietMs = 60 * 60 * 1_000;
const resolvedKeptDays = 30;
const importLeaseMs = 60_000;
const deletedAtOnce = 1_000;

/**
 * What the tick does for dead letters: imports the spool, sends back what is due, gives up what is overdue, forgets what is
 * old. Every part is repeatable and bounded; two ticks at once share the work.
 */
export async function deadLetterUpkeep(parts: DeadLetterUpkeep): Promise<DeadLetterReport> {
  const { database, onTrouble } = parts;
  const deadlineMs = performance.now() + (parts.budgetMs ?? 10_000);
  const report: DeadLetterReport = {
    imported: 0,
    unreadable: [],
    replayed: 0,
    failed: 0,
    givenUp: 0,
    trimmed: 0,
  };
  const run = async (what: string, work: () => Promise<Partial<DeadLetterReport>>) => {
    try {
      Object.assign(report, await work());
    } catch (error) {
      onTrouble(what, error);
    }
  };
  await run('dead letter spool', () => importHeld(parts, deadlineMs));
  await run('dead letter replays', () => replayDue(parts, { deadlineMs, report }));
  await run('dead events', async () => {
    await resolveQuiet(database, { quietMs, limit: deletedAtOnce });
    await forgetResolved(database, { olderThanDays: resolvedKeptDays, limit: deletedAtOnce });
    return {};
  });
  await run('inbox', async () => ({ trimmed: await trimInbox(database, { limit: deletedAtOnce }) }));
  await run('idempotency keys', async () => {
    await trimKeys(database, { limit: deletedAtOnce });
    return {};
  });
  return report;
}

async function importHeld(
  { database, holder, spool }: DeadLetterUpkeep,
  deadlineMs: number,
): Promise<Partial<DeadLetterReport>> {
  if (spool === undefined) return {};
  // A holder of its own for each run: two that overlap in one process must keep each other out, too.
  const lease = { name: 'dead-letter-spool', holder: `${holder} ${randomUUID()}` };
  if (!(await takeLease(database, { ...lease, leaseMs: importLeaseMs }))) return {};
  try {
    return await importSpool(database, spool, { deadlineMs });
  } finally {
    await releaseLease(database, lease);
  }
}

/** Counts into the report as it goes: what was done before a failure was done. */
async function replayDue(
  parts: DeadLetterUpkeep,
  { deadlineMs, report }: { deadlineMs: number; report: DeadLetterReport },
): Promise<Partial<DeadLetterReport>> {
  const { database } = parts;
  const age = { youngerThanDays: replayableDays };
  report.givenUp = await giveUpOverdue(database, { ...age, maxReplays, limit: deletedAtOnce });
  while (performance.now() < deadlineMs) {
    const events = await claimDueEvents(database, { ...age, limit: batch, waitsMs: replayWaits() });
    await Promise.all(
      events.map(async (event) => {
        const outcome = await replayOne(event, { parts, target: 'either', isAutomatic: true });
        if (outcome.state !== 'failed') report.replayed += 1;
        else if (outcome.isLast && !outcome.isPermanent) report.givenUp += 1;
        else report.failed += 1;
        await settleReplay(database, event, outcome);
      }),
    );
    if (events.length < batch) break;
  }
  return {};
}
