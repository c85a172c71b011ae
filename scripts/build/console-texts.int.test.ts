import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInThisContext } from 'node:vm';
import { expect, test } from 'vitest';
import { consolePage, consoleScripts, consoleStyle } from '#functions/api/console/files.ts';
import { consoleText } from '#functions/api/console/texts.ts';
import { bundleProgram } from './bundle.ts';

test('a built function has the files of the console in itself, and reads none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'odoo-fleet-texts-'));
  try {
    const contents = `import { consoleText } from './functions/api/console/texts.ts'; globalThis.shown = consoleText;`;
    await bundleProgram({ contents, isProgram: true }, folder);
    const text = await readFile(join(folder, 'function.js'), 'utf8');
    expect(text).not.toContain('readFileSync');
    // the bundle is a script that evaluates to a function
    const program = runInThisContext(text) as () => Promise<void>;
    await program();
    const { shown } = globalThis as unknown as { shown: (name: string) => string };
    for (const name of [consolePage, consoleStyle, ...consoleScripts]) expect(shown(name)).toBe(consoleText(name));
  } finally {
    await rm(folder, { recursive: true });
  }
});
