import { setTimeout as delay } from 'node:timers/promises';
import { createTransport } from 'nodemailer';
import { isPlainAddress, type Mail } from '#shared/domain/notification/mail.ts';
import { readRefusal, type SendResult } from '#shared/domain/notification/verdict.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { messageOf, type Sender } from './message.ts';

export type Mailer = {
  /** Hands it over once. Never throws. `again` also when nobody knows whether it was taken. */
  send(mail: Mail): Promise<SendResult>;
  end(): Promise<void>;
};

export type SmtpOptions = Sender & {
  host: string;
  port: number;
  /** `starttls` and `tls` want a certificate that is good for the host; `none` is for a relay on this machine. */
  security: 'starttls' | 'tls' | 'none';
  login?: { user: string; password: string };
  /** Certificates that are trusted instead of the system's; PEM. */
  ca?: string;
  /** Of each silence. */
  timeoutMs?: number;
  /** Of all together: shorter than an event's delivery and a mail's lease. */
  deadlineMs?: number;
};

/** Mails over kept connections. One that breaks is not used again; what was on it is for the caller to judge. */
export function openSmtpMailer(options: SmtpOptions): Mailer {
  const { host, port, security, login, ca, timeoutMs = 10_000, deadlineMs = 40_000 } = options;
  const transport = createTransport({
    pool: true,
    host,
    port,
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    tls: { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
    ...(login === undefined ? {} : { auth: { user: login.user, pass: login.password } }),
    maxConnections: 4,
    // its own tries would follow one another at once, after a text that may have been taken
    maxRequeues: 0,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    idleTimeout: 30_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  // a broken idle connection is none of a mail's
  transport.on('error', () => undefined);
  return {
    async send(mail) {
      if (!isPlainAddress(mail.to)) return { is: 'refused', reason: 'This is no e-mail address.' };
      const over = new AbortController();
      const sent = transport.sendMail(messageOf(mail, options)).then((): SendResult => ({ is: 'sent' }), resultOf);
      const late = delay(deadlineMs, tooLate, { signal: over.signal, ref: false }).catch(() => tooLate);
      return await Promise.race([sent, late]).finally(() => over.abort());
    },
    async end() {
      transport.close();
    },
  };
}

const tooLate: SendResult = { is: 'again', reason: 'The mail server took too long; it may have taken the mail.' };

type SmtpError = { command?: string; responseCode?: number; response?: string; message?: string; code?: string };

// Servers like to repeat them; logs need not have them.
const addresses = /[^\s<>()"]+@[^\s<>()":;,]+/g;

function resultOf(caught: unknown): SendResult {
  const { command, responseCode, response, message, code } = caught as SmtpError;
  const words = response ?? `${code ?? ''} ${message ?? 'no answer'}`;
  const text = oneLine(words.replaceAll(addresses, 'an address'), 300);
  return readRefusal({ command, code: responseCode, text });
}
