import { randomBytes, randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import * as v from 'valibot';
import type { EventDefinition } from '#events/envelope.ts';
import { backupRequested } from '#events/instance/backup.ts';
import { cloneRequested } from '#events/instance/clone.ts';
import { exportRequested } from '#events/instance/export.ts';
import { importRequested } from '#events/instance/import.ts';
import { restoreRequested } from '#events/instance/restore.ts';
import { stopRequested } from '#events/instance/stop.ts';
import { suspendRequested } from '#events/instance/suspend.ts';
import { verifyRequested } from '#events/instance/verify.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';

/** An option or an operand that was not given is undefined: the request then does not name it. */
export type Given = Readonly<Record<string, unknown>>;

type Envelope = { id: string; source: string };

/** How a request is made of what was given. @throws Failure `misconfigured` that says which member is wrong. */
function maker<Schema extends v.GenericSchema>(definition: EventDefinition<string, Schema>) {
  return (given: unknown, envelope: Envelope): OutgoingEvent => {
    const parsed = v.safeParse(definition.schema, given);
    if (parsed.success) return announce(definition, parsed.output, envelope);
    const [issue] = parsed.issues;
    throw new Failure('misconfigured', `${v.getDotPath(issue) ?? 'the request'}: ${issue.message}.`);
  };
}

const makers = {
  backup: maker(backupRequested),
  verify: maker(verifyRequested),
  restore: maker(restoreRequested),
  clone: maker(cloneRequested),
  export: maker(exportRequested),
  import: maker(importRequested),
  stop: maker(stopRequested),
  suspend: maker(suspendRequested),
} as const;
export type AskedKind = keyof typeof makers;

/**
 * The event of a request, with what was given on the command line.
 * @throws Failure `misconfigured` that says which member is wrong: the program was called wrongly.
 */
export function requestOf(kind: AskedKind, given: Given, source: string): OutgoingEvent {
  const reason = given['reason'] ?? `Asked for on the command line by ${userInfo().username}`;
  const entries = Object.entries({ ...given, reason }).filter(([, value]) => value !== undefined);
  return makers[kind](Object.fromEntries(entries), { id: randomUUID(), source });
}

/** A new instance's id: nobody else's, by chance. */
export function newInstanceId(): string {
  return deriveInstanceId('urn:odoo-fleet:command-line', randomBytes(16).toString('hex'));
}

/**
 * The restore whose sides were exchanged last, when what it took out is kept: also one that failed after that, because what it
 * brought did not come up. @throws Failure `not-found`.
 */
export async function newestRestore(database: Database, instanceId: string): Promise<string> {
  const { rows } = await database.query<{ id: string }>(
    `select id from restores where instance_id = $1 and state = 'succeeded' and taken_back_by is null
       and dropping_at is null order by switched_at desc limit 1`,
    [instanceId],
  );
  if (rows[0] !== undefined) return rows[0].id;
  throw new Failure('not-found', `No restore of instance ${instanceId} is kept: there is nothing to undo.`);
}
