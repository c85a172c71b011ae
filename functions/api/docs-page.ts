import { createHash } from 'node:crypto';
import type { OpenApiDocument, OpenApiOperation } from './openapi.ts';

const style = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{overflow:auto;padding:.75rem;border:1px solid #8886;border-radius:6px}
section{border-top:1px solid #8886;padding:.5rem 0}h3{margin:.5rem 0}.method{font-weight:700;display:inline-block;min-width:4.5rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0}
nav ul{columns:2;padding-left:1.2rem}a{color:inherit}`;

/** What the page may do: show itself. Its one style is named by its digest; there are no scripts. */
export const docsPolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** A page for people, of the same document that programs read. Nothing on it comes from elsewhere. */
export function docsPage(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const tags = [...new Set(operations.map(({ operation }) => operation.tags[0] ?? ''))];
  const links = operations.map(
    ({ path, method, operation }) =>
      `<li><a href="#${escaped(operation.operationId)}"><code>${method} ${escaped(path)}</code></a></li>`,
  );
  const chapters = tags.map((tag) => {
    const own = operations.filter(({ operation }) => operation.tags[0] === tag);
    return `<h2>${escaped(tag)}</h2>${own.map(sectionOf).join('')}`;
  });
  const { title, description, version } = document.info;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escaped(title)} API</title><style>${style}</style></head><body><h1>${escaped(title)} API, version ${escaped(version)}</h1>
<p>${escaped(description)}</p><p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI ${escaped(document.openapi)}).</p>
<nav aria-label="Routes"><ul>${links.join('')}</ul></nav><main>${chapters.join('')}</main></body></html>`;
}

type Shown = { path: string; method: string; operation: OpenApiOperation };

function sectionOf({ path, method, operation }: Shown): string {
  const rows = operation.parameters.map(
    ({ name, in: place, required, schema, description = '' }) =>
      `<tr><td><code>${escaped(name)}</code></td><td>${escaped(place)}${required ? ', required' : ''}</td><td>${escaped(description || wordsOf(schema))}</td></tr>`,
  );
  const table =
    rows.length === 0
      ? ''
      : `<table><thead><tr><th>Name</th><th>Where</th><th>What</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
  const answers = Object.entries(operation.responses)
    .filter(([, response]) => response['$ref'] === undefined)
    .map(
      ([status, response]) =>
        `<p><strong>${status}</strong> ${escaped(textOf(response['description']))}</p>${exampleOf(response)}`,
    );
  const body =
    operation.requestBody === undefined ? '' : `<p><strong>Body</strong></p>${exampleOf(operation.requestBody)}`;
  return `<section id="${escaped(operation.operationId)}"><h3><span class="method">${method}</span> <code>${escaped(path)}</code></h3>
<p>${escaped(operation.summary)} ${escaped(operation.description ?? 'Needs no credentials.')}</p>${table}${body}${answers.join('')}</section>`;
}

function wordsOf(schema: Readonly<Record<string, unknown>>): string {
  const { enum: words, type, default: fallback } = schema;
  const kind = Array.isArray(words) ? words.join(', ') : typeof type === 'string' ? type : '';
  return fallback === undefined ? kind : `${kind}; default ${String(fallback as string)}`;
}

function exampleOf(part: Readonly<Record<string, unknown>>): string {
  const contents = Object.values((part['content'] ?? {}) as Record<string, { example?: unknown }>);
  const example = contents.find((one) => one.example !== undefined)?.example;
  return example === undefined ? '' : `<pre>${escaped(JSON.stringify(example, null, 2))}</pre>`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
