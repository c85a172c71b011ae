import { randomUUID } from 'node:crypto';
import { backupRequested } from '#events/instance/backup.ts';
import { verifyRequested } from '#events/instance/verify.ts';
import { listSchedulable, noteRequest, readRoom, type Schedulable } from '#shared/adapters/postgres/backup-schedule.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { releaseLease, takeLease } from '#shared/adapters/postgres/leases.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { type Due, dueBackup, dueVerification, nextRequest, pickFairly } from '#shared/domain/backup/schedule.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';

/** The whole fleet is gone through once in so long, by one of the processes. */
const everyMs = 60_000;
/** Requests of a kind in one go. */
const atMost = 50;
const pageSize = 500;
/** A fleet of more than so many pages takes several gos, one with every tick: none of them takes long. */
const pagesAtMost = 6;

export type BackupSchedule = {
  database: Database;
  eventSource: string;
  holder: string;
  /** How long one go may take; the next one continues behind it. Default 2 s. */
  budgetMs?: number;
};

type Candidate = { serverId: string; due: Due; instanceId: string; requests: number; waitMs: number };

/** What is due of an instance and may be asked for now. A verification waits for the backup that is due before it. */
function candidateOf({ facts, serverId, asked }: Schedulable, now: Date): Candidate | undefined {
  const due = dueBackup(facts, now) ?? dueVerification(facts, now);
  const request = due === undefined ? undefined : nextRequest(due, asked[due.task], now);
  if (due === undefined || request === undefined) return undefined;
  return { serverId, due, instanceId: facts.instanceId, ...request };
}

/** The same id for the same request, whoever makes it: asking twice is asking once. */
function requestOf({ due, instanceId, requests }: Candidate, source: string): OutgoingEvent {
  const id = eventIdOf(instanceId, `${due.task} ${due.subject} ${requests}`);
  const reason = 'Due by the schedule';
  return due.task === 'backup'
    ? announce(backupRequested, { instance: instanceId, kind: due.kind, reason }, { id, source })
    : announce(verifyRequested, { instance: instanceId, backup: due.backupId, reason }, { id, source });
}

/**
 * Asks for the backups and verifications that are due, as anybody would: by events. Bounded, and fair to each server; what
 * finds no room has its turn later. Returns a function for every tick: it does something about once a minute, in one of
 * the processes, and goes on where it stopped when the fleet was too large for one go.
 */
export function makeBackupSchedule(schedule: BackupSchedule): () => Promise<{ asked: number }> {
  let after = '';
  return async () => {
    const { database } = schedule;
    const lease = { name: 'backup-schedule', holder: `${schedule.holder} ${randomUUID()}` };
    if (!(await takeLease(database, { ...lease, leaseMs: everyMs }))) return { asked: 0 };
    try {
      const until = performance.now() + (schedule.budgetMs ?? 2_000);
      const candidates: Candidate[] = [];
      let pages = 0;
      do {
        pages += 1;
        const page = await listSchedulable(database, { after, limit: pageSize });
        candidates.push(...page.instances.flatMap((one) => candidateOf(one, page.now) ?? []));
        after = page.next ?? '';
      } while (after !== '' && pages < pagesAtMost && performance.now() < until);
      const asked = await ask(schedule, candidates);
      // What is left of the fleet has its turn with the next tick.
      if (after !== '') await releaseLease(database, lease);
      return { asked };
    } catch (error) {
      await releaseLease(database, lease);
      throw error;
    }
  };
}

async function ask({ database, eventSource }: BackupSchedule, candidates: readonly Candidate[]): Promise<number> {
  if (candidates.length === 0) return 0;
  const room = await readRoom(database);
  const backups = candidates.filter(({ due }) => due.task === 'backup');
  const looks = candidates.filter(({ due }) => due.task === 'verify');
  const unlimited = new Map(looks.map(({ serverId }) => [serverId, atMost]));
  const picked = [
    ...pickFairly(backups, { atMost, room: room.backups }),
    ...pickFairly(looks, { atMost: Math.max(0, Math.min(atMost, room.verifications)), room: unlimited }),
  ];
  await database.transaction(async (transaction) => {
    const events = picked.map((one) => requestOf(one, eventSource));
    await enqueue(transaction, events);
    for (const [index, { instanceId, due, requests, waitMs }] of picked.entries()) {
      const eventId = events[index]?.id ?? '';
      await noteRequest(transaction, { instanceId, task: due.task, subject: due.subject, requests, eventId, waitMs });
    }
  });
  return picked.length;
}
