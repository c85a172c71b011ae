import { mkdir, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { formatReport, isSurvived } from './report.ts';
import { runStorm } from './run.ts';

const usage = `Usage: node scripts/test/storm/main.ts [options]

Brings up a whole fleet with the stand-in Odoo, sends it a storm of commands and billing events while functions are killed and
servers go down, waits until it is quiet, and holds what it has come to against a plain sequential model.

  --seed N           the plan of the storm; a random one unless stated, and printed first
  --instances N      default 200
  --commands N       commands and billing events, default 2000
  --seconds N        in which they are sent, default 60
  --quiet N          seconds the fleet may take to come to rest, default 900
  --folder FOLDER    where data and logs stay; a temporary folder, removed at the end, unless stated
  --report FILE      the report goes there, too
  --help             this text

Exit codes: 0 survived, 1 not survived (the report says in what), 2 wrong options.
`;

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new TypeError(`--${name} takes a whole number, not "${text}"`);
  return Number(text);
}

function readOptions(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { ...text, default: String(Math.floor(Math.random() * 1e6)) },
      instances: { ...text, default: '200' },
      commands: { ...text, default: '2000' },
      seconds: { ...text, default: '60' },
      quiet: { ...text, default: '900' },
      folder: text,
      report: text,
      help: { type: 'boolean', default: false },
    },
  });
  return {
    isHelp: values.help,
    reportFile: values.report,
    storm: {
      seed: wholeNumber('seed', values.seed),
      instances: wholeNumber('instances', values.instances),
      commands: wholeNumber('commands', values.commands),
      seconds: wholeNumber('seconds', values.seconds),
      quietTimeoutMs: wholeNumber('quiet', values.quiet) * 1_000,
      ...(values.folder === undefined ? {} : { folder: values.folder }),
    },
  };
}

async function main(args: readonly string[]): Promise<number> {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  if (options.isHelp) {
    process.stdout.write(usage);
    return 0;
  }
  process.stdout.write(`seed ${options.storm.seed}\n`);
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  if (options.storm.folder !== undefined) await mkdir(options.storm.folder, { recursive: true });
  const report = await runStorm({ ...options.storm, say });
  const text = `${formatReport(report)}\n`;
  process.stdout.write(text);
  if (options.reportFile !== undefined) await writeFile(options.reportFile, text);
  return isSurvived(report) ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
