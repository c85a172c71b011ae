import { randomUUID } from 'node:crypto';
import { notificationDue } from '#events/notification/due.ts';
import { type NotificationRequested, notificationRequested } from '#events/notification/requested.ts';
import { openSmtpMailer } from '#shared/adapters/mail/smtp.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { type NotifyEvent, notifyHandler } from './handler.ts';

export const source = 'urn:odoo-fleet';
export const adminPassword = 'first-password-of-the-owner';

export type World = {
  troubles: string[];
  /** Tokens the log was told of. */
  secrets: string[];
  /** The credentials Secrets; a test may take them away. */
  credentials: { read(instance: Instance): Promise<Credentials | undefined> };
  handle(event: NotifyEvent): Promise<string>;
  end(): Promise<void>;
};

type Credentials = { databasePassword: string; adminPassword: string; masterPassword: string };

/** The function's handler on a real mail server. */
export function openWorld(database: Database, port: number): World {
  const mailer = openSmtpMailer({
    host: '127.0.0.1',
    port,
    security: 'none',
    from: 'fleet@odoo.example',
    fromName: 'Odoo Fleet',
    timeoutMs: 30_000,
  });
  const world: World = {
    troubles: [],
    secrets: [],
    credentials: { read: async () => ({ databasePassword: 'd', adminPassword, masterPassword: 'm' }) },
    handle: (event) => handler(event),
    end: () => mailer.end(),
  };
  const handler = notifyHandler({
    database,
    mailer,
    credentials: { read: (instance) => world.credentials.read(instance) },
    apiUrl: 'https://api.odoo.example/',
    eventSource: source,
    remember: (secret) => void world.secrets.push(secret),
    onTrouble: (what, error) => void world.troubles.push(`${what}: ${String(error)}`),
  });
  return world;
}

/** An operation of that kind on an instance; its id. */
export async function addOperation(database: Database, instance: string, kind = 'provision'): Promise<string> {
  const id = newOperationId();
  await database.query(
    `insert into operations (id, instance_id, kind, definition_version, state, deadline, idempotency_key, requested_by,
       cause, request, finished_at)
     values ($1::uuid, $2, $3, 1, 'succeeded', now() + interval '1 h', $1::text, 'urn:test', 'c', '{}', clock_timestamp())`,
    [id, instance, kind],
  );
  return id;
}

/** What an operation's end asks for, as the function gets it. */
export function wanted(
  notification: NotificationRequested['notification'],
  about: { instance: string; operation: string; id?: string; source?: string; customer?: string },
): NotifyEvent {
  const { instance, operation, customer = 'c-1', id = randomUUID() } = about;
  const data = { notification, instance, customer, operation };
  return { ...envelope(notificationRequested.type, id), source: about.source ?? source, data } as NotifyEvent;
}

export const due = { ...envelope(notificationDue.type), data: notificationDue.example } as NotifyEvent;

function envelope(type: string, id: string = randomUUID()) {
  return { id, type, source, time: new Date().toISOString(), extensions: {} };
}

/** Lets what waits be due. */
export async function letTimePass(database: Database): Promise<void> {
  await database.query(`update mails set next_attempt_at = now() where state = 'queued'`);
}
