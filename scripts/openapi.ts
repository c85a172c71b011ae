import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
import { openApiOf } from '#functions/api/openapi.ts';
import type { ApiPorts } from '#functions/api/ports.ts';
import { routesOf } from '#functions/api/routes.ts';

const file = fileURLToPath(new URL('../functions/api/openapi.json', import.meta.url));

/** The text of functions/api/openapi.json. */
export function openApiText(): string {
  // routes are made, and none is called
  const routes = routesOf({} as ApiPorts);
  return `${JSON.stringify(openApiOf(routes, schemaOf), null, 2)}\n`;
}

function schemaOf(schema: GenericSchema): Record<string, unknown> {
  const { $schema: _draft, ...rest } = toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: 'input',
    // what becomes of a text, and checks of our own, are said in words
    ignoreActions: ['finite', 'safe_integer', 'check', 'transform', 'trim', 'to_lower_case', 'to_upper_case', 'digits'],
    errorMode: 'ignore',
  });
  return rest;
}

if (import.meta.main) {
  const text = openApiText();
  if (!process.argv.includes('--check')) await writeFile(file, text);
  else if ((await readFile(file, 'utf8')) !== text) {
    console.error('functions/api/openapi.json is out of date. Run: node scripts/openapi.ts');
    process.exitCode = 1;
  }
}
