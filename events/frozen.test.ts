import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { catalogue, eventByType } from './catalogue.ts';
import { checkData } from './check.ts';

// Events as they were sent once, kept by somebody's queue or archive. Add files, never change or remove one:
// a definition that cannot read them any more is a breaking change and needs a new type.
const folder = join(import.meta.dirname, 'frozen');
const files = readdirSync(folder);

describe('events of earlier releases', () => {
  it.each(files)('%s is still readable', (file) => {
    const event = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { type: string; data: unknown };
    const definition = eventByType(event.type);
    expect(definition, `${event.type} is not in the catalogue any more`).toBeDefined();
    expect(definition && checkData(definition, event.data)).toMatchObject({ accepted: true });
  });

  it('are there for every type', () => {
    for (const { type } of catalogue) expect(files).toContain(`${type}.1.json`);
  });
});
