import { describe, expect, test } from 'vitest';
import { notificationRequested } from '#events/notification/requested.ts';
import { english } from './english.ts';
import { german } from './german.ts';
import { renderMail } from './render.ts';
import type { Template, TemplateFacts } from './templates.ts';

const at = new Date('2027-03-04T05:06:07Z');
const instance = { instance: 'acme', url: 'https://acme.odoo.example/' };
const failed = { ...instance, operation: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f' };
const invoice = { invoice: 'R-17', amount: '20.00 EUR', billingUrl: 'https://pay.example/R-17' };
const facts: TemplateFacts = {
  'instance-provisioning': instance,
  'instance-ready': {
    ...instance,
    login: 'owner@acme.example',
    firstLogin: { url: 'https://api.example/first-login#token', hours: 24 },
  },
  'instance-failed': failed,
  'instance-started': instance,
  'instance-stopped': instance,
  'instance-suspended': instance,
  'instance-resumed': instance,
  'instance-terminated': instance,
  'instance-restored': instance,
  'backup-completed': { ...instance, backup: 'nightly', at, megabytes: 12 },
  'backup-failed': failed,
  'restore-failed': failed,
  'maintenance-planned': { ...instance, from: at, until: new Date(at.getTime() + 3_600_000) },
  'subscription-cancelled': { ...instance, endsAt: at },
  'subscription-expired': { ...instance, keptDays: 30 },
  'subscription-upgraded': { ...instance, plan: 'large' },
  'service-terminated': { ...instance, keptDays: 30 },
  'invoice-created': { ...invoice, dueAt: at },
  'invoice-paid': invoice,
  'payment-received': invoice,
  'payment-failed': invoice,
  'payment-overdue': { ...invoice, suspendsAt: at },
  'payment-reminder': { ...invoice, dueAt: at },
  'webhook-disabled': {
    endpoint: 'hooks.example.com (01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f)',
    reason: 'failing',
    at,
    lastSuccessAt: null,
    enableCall: 'PATCH https://api.example/v1/webhook-endpoints/1 {"enabled": true}',
    replayCall: 'POST https://api.example/v1/webhook-endpoints/1/replay {"since": "2027-03-01T05:06:07.000Z"}',
  },
};
const names = Object.keys(facts) as Template[];
const render = <Name extends Template>(name: Name, language = 'en_US') => renderMail(name, facts[name], language);

describe.each(names)('%s', (name) => {
  test('has a subject, a text and a page in both languages, which differ', () => {
    const [en, de] = [render(name), render(name, 'de_AT')];
    for (const mail of [en, de]) {
      expect(mail.subject).toMatch(/\S/);
      expect(`${mail.text}${mail.html}`).not.toMatch(/undefined|null|NaN|\[object|Invalid/);
      const words = mail.html.replaceAll(/<title>.*<\/title>|<[^>]+>/g, ' ').replaceAll('&quot;', '"');
      expect(words.replaceAll(/\s+/g, ' ').trim().slice(0, 10)).toBe(mail.text.replaceAll(/\s+/g, ' ').slice(0, 10));
    }
    expect([en.language, de.language]).toEqual(['en', 'de']);
    expect(de.text).not.toBe(en.text);
  });

  test('shows each fact it is given in the text as in the page', () => {
    const { text, html } = render(name);
    // a link stands in a line of its own, behind its label
    const links = [...text.matchAll(/: (https:\S+)$/gm)].map(([, link]) => link);
    for (const link of links) expect(html).toContain(`href="${link}"`);
    expect(html.match(/href=/g)?.length ?? 0).toBe(links.length);
  });
});

test('every notification that events ask for has a template', () => {
  const { options } = notificationRequested.schema.entries.notification;
  for (const name of options) expect(names).toContain(name);
  expect(Object.keys(english.templates).toSorted()).toEqual(names.toSorted());
  expect(Object.keys(german.templates).toSorted()).toEqual(names.toSorted());
});

test('a language without texts of its own gets English', () => {
  expect(render('instance-stopped', 'pt_BR')).toEqual(render('instance-stopped', 'en_US'));
  expect(render('instance-stopped', '../../x').language).toBe('en');
});

test('what stands in a fact becomes no markup, header, line or link', () => {
  const evil = `a"><script>alert('x')</script>\r\nBcc: all@example.com\n\n&amp;`;
  const mail = renderMail('instance-started', { instance: evil, url: 'javascript:alert(1)' }, 'en');
  expect(mail.subject).not.toMatch(/[\r\n]/);
  expect(mail.html).not.toMatch(/<script|javascript:|"><s/);
  expect(mail.html).toContain('&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;');
  expect(mail.html).toContain('&amp;amp;');
  expect(mail.text).not.toContain('javascript:');
  expect(mail.text).not.toMatch(/^Bcc:/m);
  const quoted = renderMail('instance-started', { instance: 'a', url: `https://x.example/"onclick='y'` }, 'en');
  expect(quoted.html).not.toMatch(/href="[^"]*"o/);
});

test('an instance that is ready is told without a password, with the link and how long it holds', () => {
  const { text } = render('instance-ready');
  expect(text).toContain('https://api.example/first-login#token');
  expect(text).toContain('24 hours');
  expect(text).toContain('owner@acme.example');
  const without = renderMail('instance-ready', { ...facts['instance-ready'], firstLogin: undefined }, 'en');
  expect(without.text).toContain('Reset password');
  expect(without.text).not.toContain('first-login');
});

test('a disabled endpoint is told with why, and with the calls that let it be told again', () => {
  const disabled = facts['webhook-disabled'];
  for (const language of ['en', 'de']) {
    const { text, html } = render('webhook-disabled', language);
    for (const shown of [disabled.endpoint, disabled.enableCall, disabled.replayCall]) {
      expect(text).toContain(shown);
      expect(html.replaceAll('&quot;', '"')).toContain(shown);
    }
  }
  expect(render('webhook-disabled').text).toMatch(/three days[^]*never taken an event/);
  const gone = renderMail('webhook-disabled', { ...disabled, reason: 'gone', lastSuccessAt: at }, 'de');
  expect(gone.text).toMatch(/410 Gone[^]*Zuletzt hat er am 4\. März 2027/);
});

test('dates are of UTC and in the words of the language', () => {
  expect(render('invoice-created').text).toContain('4 March 2027');
  expect(render('invoice-created', 'de_DE').text).toContain('4. März 2027');
  expect(render('maintenance-planned').text).toContain('05:06 UTC');
});
