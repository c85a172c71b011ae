import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { openApiText } from '#scripts/openapi.ts';
import { docsPage, docsPolicy } from './docs-page.ts';
import type { OpenApiDocument } from './openapi.ts';
import type { ApiPorts } from './ports.ts';
import { routesOf } from './routes.ts';

const routes = routesOf({} as ApiPorts);
const document = JSON.parse(openApiText()) as OpenApiDocument;
const named = routes.map((route) => ({ name: `${route.method} ${route.path}`, route }));

describe('the OpenAPI document', () => {
  it('is the one that is served', async () => {
    expect(await readFile(new URL('openapi.json', import.meta.url), 'utf8')).toBe(openApiText());
  });

  it('has every route, each under an id of its own', () => {
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(named.map(({ name }) => name).sort());
    expect(new Set(routes.map(({ operationId }) => operationId)).size).toBe(routes.length);
  });

  it.each(named)('$name names what its path takes, and examples that pass', ({ route }) => {
    const inPath = [...route.path.matchAll(/\{([a-zA-Z]+)\}/g)].map(([, name]) => name);
    const operation = document.paths[route.path]?.[route.method.toLowerCase()];
    const described = operation?.parameters.filter(({ in: place }) => place === 'path').map(({ name }) => name);
    expect(described).toEqual(inPath);
    for (const [status, { schema, example }] of Object.entries(route.responses)) {
      if (schema === undefined) continue;
      if (Number(status) < 300) expect(example, `an example of ${status}`).toBeDefined();
      if (example !== undefined) expect(v.safeParse(schema, example).issues, status).toBeUndefined();
    }
    if (route.body !== undefined) {
      expect(route.bodyExample).toBeDefined();
      expect(v.safeParse(route.body, route.bodyExample).issues).toBeUndefined();
    }
  });

  it('asks everybody who he is but for what is public by name', () => {
    const anyones = named.filter(({ route }) => route.scope === 'anyone').map(({ name }) => name);
    expect(anyones.sort()).toEqual([
      'GET /console',
      'GET /console/{file}',
      'GET /docs',
      'GET /first-login',
      'GET /openapi.json',
      'GET /v1/health',
      'POST /v1/first-login',
    ]);
  });

  it.each(named)(
    '$name is limited and asks who it is, unless it is for anyone; then it is limited by address or changes nothing',
    ({ route }) => {
      const isPublic = route.scope === 'anyone';
      expect(isPublic).toBe(route.limit === 'none' || route.limit === 'attempt');
      if (route.method !== 'GET') expect(isPublic ? route.limit : route.scope).toMatch(/:write$|^attempt$/);
    },
  );
});

describe('the page for people', () => {
  it('shows every route, and neither scripts nor anything from elsewhere', () => {
    const page = docsPage(document);
    for (const { operationId } of routes) expect(page).toContain(`id="${operationId}"`);
    expect(page).not.toMatch(/<script|https?:\/\/(?!acme|.*example)/);
    expect(docsPolicy).toContain("default-src 'none'");
  });

  it('shows text as text', () => {
    const info = { ...document.info, title: '<img src=x onerror=alert(1)>' };
    expect(docsPage({ ...document, info })).not.toContain('<img');
  });
});
