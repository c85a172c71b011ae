import { describe, expect, test } from 'vitest';
import { judgeMail, readRefusal, retryDelaysMs, type SendResult } from './verdict.ts';

describe('a refusal', () => {
  test.each<[string, string | undefined, number | undefined, string, SendResult['is']]>([
    ['no such user', 'RCPT TO', 550, '550 5.1.1 No such user', 'bounced'],
    ['a domain without mail', 'RCPT TO', 556, '556 5.1.10 Null MX', 'bounced'],
    ['a mailbox that is switched off', 'RCPT TO', 550, '550 5.2.1 Mailbox disabled', 'bounced'],
    ['a bare 550', 'RCPT TO', 550, '550 Unknown', 'bounced'],
    ['a bare 554', 'RCPT TO', 554, '554 No', 'refused'],
    ['a full mailbox', 'RCPT TO', 552, '552 5.2.2 Mailbox full', 'refused'],
    ['a policy about us', 'RCPT TO', 550, '550 5.7.1 Relaying denied', 'refused'],
    ['greylisting', 'RCPT TO', 451, '451 4.7.1 Greylisted', 'again'],
    ['a text that looks like spam', 'DATA', 554, '554 5.7.1 Spam', 'refused'],
    ['a text from an unknown address', 'DATA', 550, '550 5.1.1 No such user', 'refused'],
    ['a busy server after the text', 'DATA', 452, '452 4.3.1 Busy', 'again'],
    ['a sender that is not allowed', 'MAIL FROM', 550, '550 5.7.1 Not you', 'again'],
    ['a wrong password', 'AUTH PLAIN', 535, '535 5.7.8 Bad credentials', 'again'],
    ['no answer', 'CONN', undefined, 'connection closed', 'again'],
    ['no command', undefined, 500, 'strange', 'again'],
  ])('of %s', (_what, command, code, text, is) => {
    expect(readRefusal({ command, code, text })).toEqual({ is, reason: text });
  });
});

describe('a mail', () => {
  const again = { is: 'again', reason: 'x' } as const;

  test('is tried again with growing waits, for two days', () => {
    const delays = retryDelaysMs.map((_, index) => {
      const verdict = judgeMail(again, { attempt: index + 1, random: 0.5 });
      return verdict.is === 'again' ? verdict.delayMs : undefined;
    });
    expect(delays).toEqual(retryDelaysMs);
    expect(retryDelaysMs.toSorted((a, b) => a - b)).toEqual(retryDelaysMs);
    const hours = retryDelaysMs.reduce((sum, delay) => sum + delay) / 3_600_000;
    expect(hours).toBeGreaterThan(48);
    expect(hours).toBeLessThan(60);
  });

  test('is given up after the last try', () => {
    expect(judgeMail(again, { attempt: retryDelaysMs.length + 1, random: 0 })).toEqual({ is: 'failed', reason: 'x' });
  });

  test('that failed together with others is not tried together with them', () => {
    const first = retryDelaysMs[0] ?? 0;
    const at = (random: number) => judgeMail(again, { attempt: 1, random });
    expect(at(0)).toMatchObject({ delayMs: first * 0.9 });
    expect(at(1)).toMatchObject({ delayMs: Math.round(first * 1.1) });
  });

  test('that is refused, or whose address is unknown, is not tried again', () => {
    const first = { attempt: 1, random: 0 };
    expect(judgeMail({ is: 'refused', reason: 'x' }, first)).toEqual({ is: 'failed', reason: 'x' });
    expect(judgeMail({ is: 'bounced', reason: 'x' }, first)).toEqual({ is: 'bounced', reason: 'x' });
    expect(judgeMail({ is: 'sent' }, first)).toEqual({ is: 'sent' });
  });
});
