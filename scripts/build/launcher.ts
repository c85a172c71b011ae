import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, Script } from 'node:vm';
import { showSourceLines } from './source-lines.ts';

// Becomes `main.js` of a built function: runs `function.js` beside it, with the code V8 compiled when it was built.
// Node's own compile cache keeps of a module what V8 compiles while loading it, which leaves out nearly every function;
// `function.cache` was written after the program had run, and has what it ran.

const folder = import.meta.dirname;
const file = join(folder, 'function.js');

function compiledCode(): Buffer | undefined {
  try {
    return readFileSync(join(folder, 'function.cache'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const cachedData = compiledCode();
const script = new Script(
  // bundles are ASCII, which is read and kept at a byte per character
  readFileSync(file, 'latin1'),
  {
    filename: file,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData === undefined ? {} : { cachedData }),
  },
);
if (script.cachedDataRejected === true) {
  process.emitWarning(
    'function.cache was made by another Node or with other flags: the start takes longer. Build anew.',
  );
}
const start = script.runInThisContext() as () => Promise<void>;
try {
  await start();
} finally {
  // Not before: Node's own `domain`, for one, looks at a stack when it is loaded, and the map takes time to read. A stack is
  // put into words when it is first looked at, so what start() threw has the lines of the sources, too.
  showSourceLines(file);
}
