import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { SuspensionReason } from '#shared/domain/instance/instance.ts';

/** What a browser or a program gets instead of a suspended Odoo. */
export type Page = { status: number; headers: Record<string, string>; body: string };

/** 402 Payment Required, 403 Forbidden: RFC 9110 §15.5.3 and §15.5.4. */
const statusOf = { billing: 402, abuse: 403 } as const satisfies Record<SuspensionReason, number>;

/** When a program may ask again; a person decides when it ends. */
const retryAfterSeconds = 3600;

const languages = ['en', 'de'] as const;
type Language = (typeof languages)[number];
type Words = { title: string; what: string; whom: string; data: string };

const words: Record<Language, Record<SuspensionReason, Words>> = {
  en: {
    billing: {
      title: 'This Odoo is paused',
      what: 'A payment for it is open, so it has been paused.',
      whom: 'If you work here, please ask whoever pays for it in your company. If that is you, the invoice or your provider tells you how to pay. After that Odoo comes back by itself, within minutes.',
      data: 'Your data is kept as it was.',
    },
    abuse: {
      title: 'This Odoo has been closed',
      what: 'Its provider has closed it, because it looked as if it was used against the provider’s rules.',
      whom: 'If you are responsible for it, please ask your provider’s support. If you work here, ask whoever manages Odoo in your company.',
      data: 'The data is kept as it was.',
    },
  },
  de: {
    billing: {
      title: 'Dieses Odoo ist angehalten',
      what: 'Eine Zahlung dafür ist offen, deshalb wurde es angehalten.',
      whom: 'Wenn Sie hier arbeiten, fragen Sie bitte, wer es in Ihrer Firma bezahlt. Sind Sie das, sagen Ihnen die Rechnung oder Ihr Anbieter, wie Sie zahlen. Danach ist Odoo von selbst wieder da, binnen Minuten.',
      data: 'Ihre Daten sind unverändert aufgehoben.',
    },
    abuse: {
      title: 'Dieses Odoo wurde geschlossen',
      what: 'Der Anbieter hat es geschlossen, weil es so aussah, als würde es gegen seine Regeln benutzt.',
      whom: 'Wenn Sie dafür verantwortlich sind, fragen Sie bitte den Support Ihres Anbieters. Wenn Sie hier arbeiten, fragen Sie, wer Odoo in Ihrer Firma betreut.',
      data: 'Die Daten sind unverändert aufgehoben.',
    },
  },
};

const style =
  'body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem;color:#222;background:#fff}' +
  'h1{font-size:1.6rem}@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}}';

const styleHash = createHash('sha256').update(style).digest('base64');

/**
 * The answer to any request for a suspended instance. It depends on the reason and on what the client can read, on nothing else:
 * the page does not know whose Odoo this is.
 */
export function pageFor(reason: SuspensionReason, headers: IncomingHttpHeaders): Page {
  const language = languageFor(headers['accept-language'] ?? '');
  const isJson = wantsJson(headers);
  const text = words[language][reason];
  const body = isJson ? JSON.stringify(problemOf(reason, text)) : htmlOf(language, text);
  return {
    status: statusOf[reason],
    headers: {
      'content-type': isJson ? 'application/problem+json' : 'text/html; charset=utf-8',
      'content-language': language,
      'content-length': String(Buffer.byteLength(body)),
      'retry-after': String(retryAfterSeconds),
      'cache-control': 'no-store',
      vary: 'accept, accept-language, content-type',
      'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-robots-tag': 'noindex',
    },
    body,
  };
}

/** Problem details as in RFC 9457. */
function problemOf(reason: SuspensionReason, { title, what, whom, data }: Words) {
  const detail = `${what} ${data} ${whom}`;
  return { type: 'about:blank', title, status: statusOf[reason], detail, code: 'suspended', reason };
}

function htmlOf(language: Language, { title, what, whom, data }: Words): string {
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<h1>${title}</h1>
<p>${what} ${data}</p>
<p>${whom}</p>
</body>
</html>
`;
}

/** Odoo's own web client and its API send JSON and say so by the type of what they send. */
function wantsJson({ accept = '', 'content-type': sent = '' }: IncomingHttpHeaders): boolean {
  if (/\btext\/html\b/i.test(accept)) return false;
  return /\bapplication\/(problem\+)?json\b/i.test(accept) || /^application\/json\b/i.test(sent);
}

/** The best of our languages for an Accept-Language header (RFC 9110 §12.5.4); English when it names none of them. */
export function languageFor(header: string): Language {
  const asked = header.split(',').map((part) => {
    const [tag = '', ...parameters] = part.trim().toLowerCase().split(';');
    const quality = parameters.map((one) => /^\s*q=([\d.]+)\s*$/.exec(one)?.[1]).find((q) => q !== undefined);
    return { language: tag.split('-')[0] ?? '', quality: quality === undefined ? 1 : Number(quality) };
  });
  const best = asked
    .filter(({ quality }) => quality > 0)
    .toSorted((a, b) => b.quality - a.quality)
    .find(({ language }) => languages.some((ours) => ours === language));
  return languages.find((ours) => ours === best?.language) ?? 'en';
}
