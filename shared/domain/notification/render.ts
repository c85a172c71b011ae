import { oneLine } from '../one-line.ts';
import { english } from './english.ts';
import { german } from './german.ts';
import type { Language, Part, Template, TemplateFacts } from './templates.ts';

/** A mail's text, in both forms. */
export type Rendered = { subject: string; text: string; html: string; language: string };

const languages: readonly Language[] = [english, german];

/** The texts for a language as Odoo names it (`de_AT`); English where there are none. */
function languageOf(language: string): Language {
  const [word] = language.split(/[_@-]/);
  return languages.find(({ tag }) => tag === word) ?? english;
}

/** Fills a template. Whatever stands in the facts is text: it becomes neither a header, nor markup, nor a link of its own. */
export function renderMail<Name extends Template>(
  template: Name,
  facts: TemplateFacts[Name],
  language: string,
): Rendered {
  const { tag, greeting, closing, templates } = languageOf(language);
  const { subject, parts } = templates[template](facts);
  const all = [greeting, ...parts, closing];
  const line = oneLine(subject, 200);
  const body = all.map(htmlOf).join('\n');
  return {
    subject: line,
    language: tag,
    text: `${all.map(textOf).join('\n\n')}\n`,
    html: `<!doctype html>
<html lang="${tag}"><head><meta charset="utf-8"><title>${escaped(line)}</title></head>
<body style="font:16px/1.5 sans-serif;max-width:36rem;margin:1rem auto;padding:0 1rem">
${body}
</body></html>
`,
  };
}

function textOf(part: Part): string {
  return typeof part === 'string' ? withoutBreaks(part) : `${withoutBreaks(part.label)}: ${addressOf(part.link)}`;
}

function htmlOf(part: Part): string {
  if (typeof part === 'string') return `<p>${escaped(withoutBreaks(part))}</p>`;
  return `<p><a href="${escaped(addressOf(part.link))}">${escaped(withoutBreaks(part.label))}</a></p>`;
}

/** Nothing but http leads anywhere: not `javascript:`. */
function addressOf(link: string): string {
  const isWeb = URL.canParse(link) && /^https?:$/.test(new URL(link).protocol);
  return isWeb ? new URL(link).href : '';
}

function withoutBreaks(text: string): string {
  return oneLine(text, 2_000);
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
