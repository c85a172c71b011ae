import type { Mailer } from '#shared/adapters/mail/smtp.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { keepFirstLogin, wasFirstLoginUsed } from '#shared/adapters/postgres/first-logins.ts';
import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import { findBounce, type HeldMail, recordMail } from '#shared/adapters/postgres/mails.ts';
import { readEndpoint } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import type { CredentialsStore } from '#shared/domain/instance/ports.ts';
import { firstLoginHours, sealFirstLogin } from '#shared/domain/notification/first-login.ts';
import { type Rendered, renderMail } from '#shared/domain/notification/render.ts';
import type { TemplateFacts } from '#shared/domain/notification/templates.ts';
import { judgeMail, type MailVerdict, type SendResult } from '#shared/domain/notification/verdict.ts';

export type Mailing = {
  database: Database;
  mailer: Pick<Mailer, 'send'>;
  credentials: Pick<CredentialsStore, 'read'>;
  /** Where people reach the API: links to first passwords begin with it. Undefined: mails have none. */
  apiUrl: string | undefined;
  /** Tells the log what never to print. */
  remember: (secret: string) => void;
  onTrouble: (what: string, error: unknown) => void;
};

export type MailCounts = Record<MailVerdict['is'] | 'lost', number>;

/**
 * Tries each mail once, all at the same time. Never throws: what is not recorded is tried again when its lease ends, so a mail
 * may be sent twice, under the same Message-ID.
 */
export async function sendMails(mails: readonly HeldMail[], mailing: Mailing): Promise<MailCounts> {
  const counts: MailCounts = { sent: 0, again: 0, failed: 0, bounced: 0, lost: 0 };
  await Promise.all(
    mails.map(async (mail) => {
      try {
        counts[await sendOne(mail, mailing)] += 1;
      } catch (error) {
        counts.again += 1;
        mailing.onTrouble(`mail ${mail.id}`, asFailure(error));
      }
    }),
  );
  return counts;
}

async function sendOne(mail: HeldMail, mailing: Mailing): Promise<MailVerdict['is'] | 'lost'> {
  const result = await tried(mail, mailing);
  const verdict = judgeMail(result, { attempt: mail.attempt, random: Math.random() });
  const recorded = await recordMail(mailing.database, mail, verdict);
  if (verdict.is !== 'sent') mailing.onTrouble(`mail ${mail.id}`, new Failure('unavailable', verdict.reason));
  return recorded === 'lost' ? 'lost' : verdict.is;
}

async function tried(mail: HeldMail, mailing: Mailing): Promise<SendResult> {
  const bounce = await findBounce(mailing.database, mail.address);
  if (bounce !== undefined) return { is: 'bounced', reason: bounce };
  let rendered: Rendered;
  try {
    rendered = await renderedOf(mail, mailing);
  } catch (caught) {
    const failure = asFailure(caught);
    // a cluster that does not answer now, a Secret that somebody restores
    return { is: failure.code === 'not-found' ? 'refused' : 'again', reason: failure.message };
  }
  return await mailing.mailer.send({ ...rendered, id: mail.id, to: mail.address });
}

async function renderedOf(mail: HeldMail, mailing: Mailing): Promise<Rendered> {
  const { template, language, operationId, endpointId } = mail;
  if (template === 'webhook-disabled')
    return renderMail(template, await disabledEndpoint(mailing, { ...mail, endpointId }), language);
  const { instance, publicUrl } = await readInstance(mailing.database, mail.instanceId);
  const facts = { instance: instance.name, url: publicUrl };
  if (template === 'instance-ready') {
    const firstLogin = await firstLoginOf(mail, { instance, url: publicUrl }, mailing);
    return renderMail(template, { ...facts, login: instance.adminLogin, firstLogin }, language);
  }
  if (template === 'instance-failed') return renderMail(template, { ...facts, operation: operationId ?? '' }, language);
  return renderMail(template, facts, language);
}

/** @throws Failure `not-found` when there is nothing to tell any more: it was deleted, or somebody has enabled it. */
async function disabledEndpoint(
  { database, apiUrl = '' }: Pick<Mailing, 'database' | 'apiUrl'>,
  { endpointId, customerId }: Pick<HeldMail, 'endpointId' | 'customerId'>,
): Promise<TemplateFacts['webhook-disabled']> {
  const endpoint = await readEndpoint(database, endpointId ?? '', { customerId });
  const { id, url, disabledReason: reason, disabledAt: at, lastSuccessAt, createdAt } = endpoint;
  if (at === null || reason === null || reason === 'customer')
    throw new Failure('not-found', 'The webhook endpoint was enabled again, or disabled by its owner.');
  const resource = `${withoutSlash(apiUrl)}/v1/webhook-endpoints/${id}`;
  return {
    // with some receivers the path is the secret
    ...{ endpoint: `${new URL(url).host} (${id})`, reason, at, lastSuccessAt },
    enableCall: `PATCH ${resource} {"enabled": true}`,
    replayCall: `POST ${resource}/replay {"since": "${(lastSuccessAt ?? createdAt).toISOString()}"}`,
  };
}

const withoutSlash = (url: string) => url.replace(/\/+$/, '');

/** A new link for each try: what an earlier one carried is kept nowhere. */
async function firstLoginOf(
  { operationId }: HeldMail,
  { instance, url }: { instance: Instance; url: string },
  { database, credentials, apiUrl, remember }: Mailing,
): Promise<{ url: string; hours: number } | undefined> {
  if (apiUrl === undefined || !(await isNew(database, operationId ?? ''))) return undefined;
  if (await wasFirstLoginUsed(database, instance.id)) return undefined;
  const found = await credentials.read(instance);
  if (found === undefined) return undefined;
  const login = { url, login: instance.adminLogin, password: found.adminPassword };
  const { token, ...sealed } = sealFirstLogin(login, instance.id);
  remember(token);
  await keepFirstLogin(database, { instanceId: instance.id, login: sealed, hours: firstLoginHours });
  // behind the #: no server, proxy or log on the way sees it
  return { url: `${withoutSlash(apiUrl)}/first-login#${token}`, hours: firstLoginHours };
}

/** Clones and imports bring their users, with the passwords these know. */
async function isNew(database: Database, operationId: string): Promise<boolean> {
  const { rows } = await database.query<{ kind: string }>('select kind from operations where id = $1', [operationId]);
  return rows[0]?.kind === 'provision';
}
