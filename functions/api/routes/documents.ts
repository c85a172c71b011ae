import { docsPage, docsPolicy } from '../docs-page.ts';
// generated from these very routes; `npm run check` compares
import generated from '../openapi.json' with { type: 'json' };
import type { OpenApiDocument } from '../openapi.ts';
import { type Route, route } from '../route.ts';

/** The API's description, for programs and for people. */
export function documentRoutes(): Route[] {
  const document = generated as unknown as OpenApiDocument;
  let page: string | undefined;
  const json = JSON.stringify(document);
  return [
    route({
      method: 'GET',
      path: '/openapi.json',
      operationId: 'getOpenApi',
      summary: 'This description, for programs.',
      scope: 'anyone',
      limit: 'none',
      responses: { 200: { description: 'An OpenAPI 3.1 document.' } },
      handle: async () => ({ status: 200, content: { type: 'application/json', text: json } }),
    }),
    route({
      method: 'GET',
      path: '/docs',
      operationId: 'getDocs',
      summary: 'This description, for people.',
      scope: 'anyone',
      limit: 'none',
      responses: { 200: { description: 'A page.', type: 'text/html' } },
      async handle() {
        page ??= docsPage(document);
        const headers = { 'content-security-policy': docsPolicy };
        return { status: 200, content: { type: 'text/html; charset=utf-8', text: page, headers } };
      },
    }),
  ];
}
