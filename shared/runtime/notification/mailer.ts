import { readFileSync } from 'node:fs';
import { openFolderMailer } from '#shared/adapters/mail/folder.ts';
import { type Mailer, openSmtpMailer } from '#shared/adapters/mail/smtp.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { Config } from '../config.ts';
import type { mailing } from '../edge-rows.ts';

/** Mails wait for whoever sets it. */
const unset: Mailer = {
  send: async () => ({ is: 'again', reason: 'Set SMTP_HOST, or MAIL_DIR to have mails written as files.' }),
  end: async () => undefined,
};

/** The way mails go. Nothing is connected before the first one. @throws Failure `misconfigured`. */
export function openMailer(config: Config<typeof mailing>): Mailer {
  const { smtpHost: host, smtpPort: port, smtpSecurity: security, smtpUser: user, smtpPassword: password } = config;
  const sender = { from: config.mailFrom, fromName: config.mailFromName };
  if (host === undefined) {
    if (config.mailFolder !== undefined) return openFolderMailer({ ...sender, folder: config.mailFolder });
    return unset;
  }
  if ((user === undefined) !== (password === undefined))
    throw new Failure('misconfigured', 'Set SMTP_USER and SMTP_PASSWORD_FILE, or neither.');
  if (user !== undefined && security === 'none')
    throw new Failure(
      'misconfigured',
      'SMTP_SECURITY is none: a password would be read on the way. Use starttls or tls.',
    );
  return openSmtpMailer({
    ...sender,
    host,
    port,
    security,
    ...(user === undefined || password === undefined ? {} : { login: { user, password } }),
    ...(config.smtpCaFile === undefined ? {} : { ca: readFileSync(config.smtpCaFile, 'utf8') }),
  });
}
