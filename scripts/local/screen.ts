/** Where progress goes. With `--json` stdout is kept for the one document. */
export type Screen = {
  say(message: string): void;
  /** A line about a step of the operation. */
  step(name: string, detail: string): void;
  print(text: string): void;
  error(text: string): void;
};

/** Colours only on a terminal, and never when NO_COLOR is set. */
export function openScreen(options: { json: boolean; startedMs: number }): Screen {
  const stream = options.json ? process.stderr : process.stdout;
  const hasColours = stream.isTTY === true && process.env['NO_COLOR'] === undefined;
  const paint = (code: number, text: string) => (hasColours ? `\u001b[${code}m${text}\u001b[0m` : text);
  const seconds = () => `${((performance.now() - options.startedMs) / 1000).toFixed(1).padStart(6)} s`;
  return {
    say: (message) => void stream.write(`${paint(2, seconds())}  ${message}\n`),
    step: (name, detail) => void stream.write(`${paint(2, seconds())}    ${paint(36, name.padEnd(16))} ${detail}\n`),
    print: (text) => void stream.write(`${text}\n`),
    error: (text) => void process.stderr.write(`${process.stderr.isTTY ? paint(31, text) : text}\n`),
  };
}

/** A plain table: the first column left, numbers right. */
export function table(
  head: readonly [string, string, string],
  rows: readonly (readonly [string, string, string])[],
): string {
  const all = [head, ...rows];
  const width = (column: 0 | 1 | 2) => Math.max(...all.map((row) => row[column].length));
  const [first, second] = [width(0), width(1)];
  return all.map((row) => `  ${row[0].padEnd(first)}  ${row[1].padStart(second)}  ${row[2]}`.trimEnd()).join('\n');
}
