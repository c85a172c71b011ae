import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleMistakes } from './budget.ts';
import { type BuiltFile, bundleFunction } from './bundle.ts';
import { primeFunction } from './primer.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Where `npm run build` puts its results. */
export const distFolder = join(root, 'dist');

export type BuiltFunction = {
  name: string;
  /** Holds all that the function needs: `node <folder>/main.js` runs it. */
  folder: string;
  files: readonly BuiltFile[];
  /** Bytes of compiled code; undefined when it was not primed. */
  cacheBytes: number | undefined;
  seconds: number;
  /** Budgets that are exceeded, code that does not belong there. */
  mistakes: readonly string[];
};

export type BuildOptions = {
  /** Each function gets a folder of its name in it. */
  outFolder: string;
  /** False leaves the compiled code out: the build is quicker, each start slower. Default true. */
  isPrimed?: boolean;
  onBuilt?(built: BuiltFunction): void;
  /** Between two functions. */
  signal?: AbortSignal;
};

/** The names of all functions: the folders under `functions`. */
export async function functionNames(): Promise<string[]> {
  const entries = await readdir(join(root, 'functions'), { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).toSorted();
}

/**
 * Builds functions, one after the other. A function that is over its budget is built all the same, and says so.
 * @throws Error that names the function, when it does not exist, cannot be bundled or does not start.
 */
export async function buildFunctions(names: readonly string[], options: BuildOptions): Promise<BuiltFunction[]> {
  const known = await functionNames();
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`No function is called ${unknown}; there are ${known.join(', ')}.`);
  const all: BuiltFunction[] = [];
  for (const name of names) {
    options.signal?.throwIfAborted();
    const built = await buildFunction(name, join(options.outFolder, name), options);
    options.onBuilt?.(built);
    all.push(built);
  }
  return all;
}

async function buildFunction(name: string, folder: string, { isPrimed = true }: BuildOptions): Promise<BuiltFunction> {
  const startedMs = performance.now();
  try {
    const files = await bundleFunction(name, folder);
    const cacheBytes = isPrimed ? await primeFunction(name, folder) : undefined;
    const seconds = (performance.now() - startedMs) / 1000;
    return { name, folder, files, cacheBytes, seconds, mistakes: bundleMistakes(name, files) };
  } catch (cause) {
    throw new Error(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
