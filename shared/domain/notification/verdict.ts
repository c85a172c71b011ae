const minute = 60_000;
const hour = 60 * minute;

/** Waits before the second, third … try, some two days in all. A greylisting server wants a few minutes. */
export const retryDelaysMs: readonly number[] = [
  minute,
  5 * minute,
  15 * minute,
  30 * minute,
  hour,
  2 * hour,
  4 * hour,
  8 * hour,
  12 * hour,
  24 * hour,
];

/** What came of handing a mail over. `bounced`: there is no such address; `refused`: not this mail; `again`: perhaps later. */
export type SendResult = { is: 'sent' } | { is: 'bounced' | 'refused' | 'again'; reason: string };

/** What becomes of the mail. */
export type MailVerdict =
  | { is: 'sent' }
  | { is: 'bounced' | 'failed'; reason: string }
  | { is: 'again'; reason: string; delayMs: number };

/** What a mail server said no to. */
export type Refusal = {
  /** The command it answered, such as `RCPT TO`. */
  command: string | undefined;
  /** SMTP's reply code; undefined: there was no answer. */
  code: number | undefined;
  /** Its words; or ours where there are none. */
  text: string;
};

/**
 * Reads a refusal (RFC 5321 §4.2, RFC 3463). Only a permanent no to the recipient that is about the address itself says that
 * there is no such address: policy (x.7), a full mailbox (x.2.2) and everything about the sender may be our own mistake.
 */
export function readRefusal({ command = '', code, text }: Refusal): SendResult {
  if (code === undefined || code < 500) return { is: 'again', reason: text };
  const recipient = /^RCPT/i.test(command);
  const content = /^(DATA|BDAT)/i.test(command);
  if (!recipient && !content) return { is: 'again', reason: text };
  const [, subject, detail] = /\b5\.(\d{1,3})\.(\d{1,3})\b/.exec(text) ?? [];
  const isAddress =
    subject === undefined ? addressCodes.has(code) : subject === '1' || (subject === '2' && detail === '1');
  return { is: recipient && isAddress ? 'bounced' : 'refused', reason: text };
}

/** No such mailbox, not here, no such name: from servers that say no more. */
const addressCodes: ReadonlySet<number> = new Set([550, 551, 553]);

/** `attempt` counts from 1; `random` is from 0 to 1 and spreads what failed together. */
export function judgeMail(result: SendResult, { attempt, random }: { attempt: number; random: number }): MailVerdict {
  if (result.is === 'sent') return result;
  const { reason } = result;
  if (result.is === 'bounced') return { is: 'bounced', reason };
  const delay = retryDelaysMs[attempt - 1];
  if (result.is === 'refused' || delay === undefined) return { is: 'failed', reason };
  return { is: 'again', reason, delayMs: Math.round(delay * (0.9 + 0.2 * random)) };
}
