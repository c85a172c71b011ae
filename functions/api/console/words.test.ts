import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openApiText } from '#scripts/openapi.ts';
import { instanceStatuses, suspensionReasons } from '#shared/domain/instance/instance.ts';
import { operationKinds } from '#shared/domain/operation/operation.ts';
import { isEnded } from '#shared/runtime/progress/server-sent-events.ts';
import type { OpenApiDocument } from '../openapi.ts';
import { operationStates } from '../views/operation.ts';

// A browser cannot read TypeScript, so the console repeats lists that the platform has. What it says of them is read as text.
const document = JSON.parse(openApiText()) as OpenApiDocument;

/** The quoted words of what stands between a text of that file and the next `end`. At least one. */
function wordsOf(file: string, [begin, end]: [string, string], word = /'([a-z-]+)'/g): string[] {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8');
  const [, rest] = text.split(begin);
  if (rest === undefined) throw new Error(`${file} has no ${begin}`);
  const found = [...rest.slice(0, rest.indexOf(end)).matchAll(word)].map(([, one]) => String(one));
  if (found.length === 0) throw new Error(`${file} has no words after ${begin}`);
  return found;
}

/** The words that fields of these names may have, wherever a part of the API's description has them. */
function enumsOf(part: unknown, names: readonly string[]): string[] {
  if (typeof part !== 'object' || part === null) return [];
  return Object.entries(part).flatMap(([name, value]) => {
    const { enum: own } = (value ?? {}) as { enum?: string[] };
    return names.includes(name) && own !== undefined ? own : enumsOf(value, names);
  });
}

const commandKinds = wordsOf('commands.js', ['const commands = [', '\n];'], /kind: '([a-z-]+)'/g);

describe('the words of the console', () => {
  it('for the filter of instances are their statuses', () => {
    expect(wordsOf('instances.js', ['const statuses = [', ']'])).toEqual(instanceStatuses);
  });

  it('for the filter of dead letters are their states', () => {
    const states = enumsOf(document.paths['/v1/dead-events']?.['get'], ['state']);
    expect(wordsOf('dead-letters.js', ['const states = [', ']']).toSorted()).toEqual(states.toSorted());
  });

  it('for the ends of an operation are the states in which its progress ends', () => {
    const ends = operationStates.filter((state) => isEnded({ state }));
    expect(wordsOf('progress.js', ['const ends = [', ']'])).toEqual(ends);
  });

  it('for suspensions are their reasons', () => {
    const causes = wordsOf('commands.js', ['const causes = [', '\n];'], /\['([a-z]+)',/g);
    expect(causes).toEqual(suspensionReasons);
  });

  it('that have a colour are states or statuses of the API, each with one colour', () => {
    const coloured = wordsOf('elements.js', ['const tones = {', '\n};']);
    const known = new Set(enumsOf(document.paths, ['state', 'status', 'class']));
    expect(coloured.filter((word) => !known.has(word))).toEqual([]);
    expect(coloured).toHaveLength(new Set(coloured).size);
  });

  it.each(commandKinds)('for the command %s are a kind of operation and a route', (kind) => {
    expect(operationKinds).toContain(kind);
    expect(document.paths[`/v1/instances/{id}/${kind}`]).toHaveProperty('post');
  });
});
