import { randomUUID } from 'node:crypto';
import { accountRefresh } from '#events/billing/account-refresh.ts';
import { eventByType } from '#events/catalogue.ts';
import { checkData } from '#events/check.ts';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import {
  endLook,
  type Look,
  putOffLook,
  readTold,
  saveTold,
  takeDueAccounts,
  takeLook,
} from '#shared/adapters/postgres/kill-bill-accounts.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { KillBill, KillBillAccount } from '#shared/domain/kill-bill/account.ts';
import { type Announcement, announcementsOf } from '#shared/domain/kill-bill/announcements.ts';
import { type AccountView, viewAccount } from '#shared/domain/kill-bill/view.ts';
import { afterFailureMs, afterIncompleteMs } from '#shared/domain/kill-bill/waits.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';

export type LookParts = {
  database: Database;
  killBill: KillBill;
  /** Source of our own events: what was read with our credentials we say ourselves. */
  eventSource: string;
  /** Days an invoice may be open before it is past due. */
  dueDays: number;
  /** Default: the database's clock. */
  now?: () => Date;
  onTrouble(what: string, error: Failure): void;
};

/**
 * `looked`: what has changed was said; `held`: nothing is due, or somebody else is looking; `put-off`: Kill Bill could
 * not be read, and the tick asks again; `overtaken`: somebody else has looked meanwhile.
 */
export type LookOutcome = 'looked' | 'held' | 'put-off' | 'overtaken';

/**
 * Reads the account from Kill Bill and says by the outbox what is new: the notification that led here is believed in
 * nothing. What is asked for while it is read leads to another look. The caller flushes the outbox.
 */
export async function lookAt(parts: LookParts, accountId: string): Promise<LookOutcome> {
  const look = await takeLook(parts.database, accountId);
  if (look === undefined) return 'held';
  try {
    const account = await parts.killBill.read(accountId);
    return await parts.database.transaction((transaction) => conclude(transaction, parts, { look, account }));
  } catch (caught) {
    const failure = asFailure(caught);
    await putOffLook(parts.database, look, { afterMs: afterFailureMs(look.attempts + 1), reason: failure.message });
    parts.onTrouble(`account ${accountId} of Kill Bill`, failure);
    return 'put-off';
  }
}

type Seen = { look: Look; account: KillBillAccount | undefined };

async function conclude(transaction: Queryable, parts: LookParts, { look, account }: Seen): Promise<LookOutcome> {
  const told = await readTold(transaction, look);
  if (told === undefined) return 'overtaken';
  const now = parts.now?.() ?? told.now;
  if (account === undefined) {
    const problem = 'Kill Bill knows no such account.';
    await endLook(transaction, look, { customerId: null, nextAt: null, isIncomplete: false, problem });
    return 'looked';
  }
  const view = viewAccount(account, { now, dueDays: parts.dueDays });
  const saying = announcementsOf(view, told, now);
  await saveTold(transaction, look.accountId, saying);
  await enqueue(
    transaction,
    saying.announcements.map((one) => eventOf(one, parts.eventSource)),
  );
  const waits = view.isIncomplete ? afterIncompleteMs(told.incompleteLooks + 1) : undefined;
  const problem = problemOf(view, waits);
  if (problem !== null) await noteProblem(transaction, parts.eventSource, { accountId: look.accountId, problem });
  const isAskedAgain = await endLook(transaction, look, {
    customerId: view.customerId,
    nextAt: earliest(
      view.changesAt,
      waits === null || waits === undefined ? null : new Date(told.now.getTime() + waits),
    ),
    isIncomplete: view.isIncomplete,
    problem,
  });
  if (isAskedAgain) await enqueue(transaction, [lookEvent(parts.eventSource, look.accountId)]);
  return 'looked';
}

/** It is told once: a look that waits for more has none yet. */
function problemOf({ problems }: AccountView, waits: number | null | undefined): string | null {
  const missing =
    'A subscription has no custom fields that say what to make: instance_name, instance_admin_email and instance_database_name.';
  const all = [...problems, ...(waits === null ? [missing] : [])];
  return all.length === 0 ? null : all.join(' ').slice(0, 1_000);
}

async function noteProblem(
  transaction: Queryable,
  actor: string,
  { accountId, problem }: { accountId: string; problem: string },
): Promise<void> {
  const { rows } = await transaction.query<{ last_error: string | null }>(
    'select last_error from kill_bill_accounts where id = $1',
    [accountId],
  );
  if (rows[0]?.last_error === problem) return;
  await appendAudit(transaction, {
    actor,
    action: 'billing.account-problem',
    instanceId: null,
    detail: { account: accountId, problem },
  });
}

function earliest(one: Date | null, other: Date | null): Date | null {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}

/** @throws Failure `internal` when the data are not what the event's definition says: a bug of ours. */
function eventOf({ type, data }: Announcement, source: string): OutgoingEvent {
  const fullType = `dev.odoofleet.billing.${type}`;
  const definition = eventByType(fullType);
  const checked = definition === undefined ? undefined : checkData(definition, data);
  if (checked?.accepted !== true) {
    throw new Failure('internal', `${fullType} cannot be said: ${checked?.reason ?? 'it is not in the catalogue'}.`);
  }
  const id = eventIdOf(data.subscription, `kill-bill ${type} ${data.sequence}`);
  const partition = data.instance === undefined ? {} : { partitionkey: data.instance };
  return { id, type: fullType, source, subject: data.subscription, data, extensions: partition };
}

/** Asks for a look. */
export function lookEvent(source: string, account: string): OutgoingEvent {
  return announce(accountRefresh, { account }, { id: randomUUID(), source });
}

/** Accounts asked for in one tick; the rest has its turn in the next. */
const looksAtMost = 100;
const againAfterMs = 30_000;

/** Asks for the looks that are due: what time brings about, what failed, and what a broker has lost. Repeatable. */
export async function askForDueLooks({
  database,
  eventSource,
}: Pick<LookParts, 'database' | 'eventSource'>): Promise<number> {
  return await database.transaction(async (transaction) => {
    const due = await takeDueAccounts(transaction, { limit: looksAtMost, againAfterMs });
    await enqueue(
      transaction,
      due.map((account) => lookEvent(eventSource, account)),
    );
    return due.length;
  });
}
