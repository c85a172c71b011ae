import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';
import { consolePage, consoleScripts, consoleStyle } from '#functions/api/console/files.ts';

/** Puts the files of the console into the bundle, in the place of the module that reads them: a script has no folder. */
export function consoleTexts(): Plugin {
  return {
    name: 'console-texts',
    setup(build) {
      build.onLoad({ filter: /\/functions\/api\/console\/texts\.ts$/ }, async ({ path }) => {
        const files = [consolePage, consoleStyle, ...consoleScripts].map((name) => join(dirname(path), name));
        const texts = await Promise.all(files.map(async (file) => [file, await readFile(file, 'utf8')] as const));
        const named = Object.fromEntries(texts.map(([file, text]) => [file.slice(dirname(path).length + 1), text]));
        const contents = `const texts = ${JSON.stringify(named)};
          export function consoleText(name) { return texts[name]; }`;
        return { contents, watchFiles: files };
      });
    },
  };
}
