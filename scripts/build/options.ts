import { parseArgs } from 'node:util';

/** What `npm run build` was asked for. */
export type BuildCommand = {
  /** None: all functions, `migrate` and `worker`. */
  names: readonly string[];
  json: boolean;
  folder: string | undefined;
  isPrimed: boolean;
};

export const usage = `Usage: npm run build -- [functions] [options]

Makes a bundle of each function in dist/<function>: main.js starts it, with nothing else than Node 24. Checks their
sizes, and that functions which have no business with the cluster have no code for it. The program of the migration
Job is called migrate here, that of the Jobs for backups worker.

  --folder FOLDER   where they go, default dist
  --no-prime        leave out function.cache, the code that V8 has compiled; each start takes longer
  --json            print one JSON document last, and progress on stderr
  --help            this text

Exit codes: 0 built, 1 something failed or a bundle is too large (the message says what to do), 2 wrong options,
130 ended by Ctrl-C.
`;

/** Reads the command line. @throws TypeError with a message for the person who typed it. */
export function readOptions(args: readonly string[]): BuildCommand | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      folder: { type: 'string' },
      'no-prime': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  return { names: positionals, json: values.json, folder: values.folder, isPrimed: !values['no-prime'] };
}
