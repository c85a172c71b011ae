import { createInterface } from 'node:readline/promises';

/** What a command came to: `json` for programs, `lines` for people. `isDone` is true unless stated. */
export type Done = { json: unknown; lines: readonly string[]; isDone?: boolean };

/** Where a program writes. */
export type Screen = {
  print(line: string): void;
  printError(line: string): void;
  /** How far something is, on one line of a terminal; undefined takes the line away. Not there where nobody watches. */
  progress?(line: string | undefined): void;
  /** A person looks at what is printed, on a terminal that shows colours. */
  hasColours?: boolean;
  /** How wide the terminal is that is printed to; undefined where it is none. */
  columns?: number | undefined;
  /** Asks the person at the terminal; empty when nothing was typed. Not there where nobody can be asked. */
  ask?(question: string): Promise<string>;
};

/** The screen of this process: progress on a terminal only. */
export function processScreen(): Screen {
  const { stderr, stdin, stdout, env } = process;
  const hasColours = stdout.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  const clear = '\r\u001b[K';
  let isShown = false;
  const wipe = () => {
    if (isShown) stderr.write(clear);
    isShown = false;
  };
  return {
    hasColours,
    columns: stdout.isTTY ? stdout.columns : undefined,
    ...(stdin.isTTY && stderr.isTTY && { ask: (question: string) => (wipe(), askThere(question)) }),
    print(line) {
      wipe();
      stdout.write(`${line}\n`);
    },
    printError(line) {
      wipe();
      stderr.write(`${line}\n`);
    },
    ...(stderr.isTTY && {
      progress(line: string | undefined) {
        wipe();
        if (line === undefined) return;
        stderr.write(line.slice(0, Math.max(20, stderr.columns - 1)));
        isShown = true;
      },
    }),
  };
}

/** Not on standard output, which may go into a file. */
async function askThere(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const gone = new Promise<undefined>((resolve) => void terminal.once('close', () => resolve(undefined)));
  try {
    const typed = await Promise.race([terminal.question(question), gone]);
    if (typed === undefined) process.stderr.write('\n');
    return typed ?? '';
  } finally {
    terminal.close();
  }
}

export const timeOf = (at: Date | null): string => at?.toISOString().replace(/\.\d+Z$/, 'Z') ?? '-';

/** 1536 is `1.5 KiB`. */
export function sizeOf(bytes: number | null | undefined): string {
  if (bytes === undefined || bytes === null) return '-';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [size, unit] = [bytes, 0];
  for (; size >= 1024 && unit < units.length - 1; unit += 1) size /= 1024;
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
