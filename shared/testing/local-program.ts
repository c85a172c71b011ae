import { spawn } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../scripts/local/main.ts', import.meta.url));

/** What `--json` prints, as far as tests read it. */
export type LocalReport = {
  url: string;
  login: string;
  password: string;
  instance: string;
  odoo: string;
  eventToLoginPageSeconds: number | null;
  steps: { step: string; seconds: number; outcome: string }[];
  checks: { rightPassword: boolean; defaultPassword: boolean };
};

export type LocalEnd = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string };

/** A run of the program as a process of its own. */
export type LocalRun = {
  pid: number;
  /** Resolves with the document when it was printed, while the program may go on. @throws Error when it ends without. */
  reported: Promise<LocalReport>;
  ended: Promise<LocalEnd>;
  kill(signal: NodeJS.Signals): void;
};

/** Runs `scripts/local` with these arguments. Ended with the test's process at the latest. */
export function runLocalProgram(args: readonly string[]): LocalRun {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const endWithUs = () => child.kill('SIGTERM');
  process.once('exit', endWithUs);
  let stdout = '';
  let stderr = '';
  const reported = Promise.withResolvers<LocalReport>();
  // whoever does not ask for the report need not hear that there is none
  reported.promise.catch(() => undefined);
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    if (stdout.startsWith('{') && stdout.endsWith('}\n')) reported.resolve(reportOf(stdout));
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<LocalEnd>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('exit', endWithUs);
      reported.reject(new Error(`The program ended with ${signal ?? code} before it reported:\n${stderr}`));
      resolve({ code, signal, stdout, stderr });
    });
  });
  return {
    pid: child.pid ?? 0,
    reported: reported.promise,
    ended,
    kill: (signal) => void child.kill(signal),
  };
}

/** The document on stdout, which must be all there is. @throws Error when it is not. */
export function reportOf(stdout: string): LocalReport {
  try {
    return JSON.parse(stdout) as LocalReport;
  } catch (cause) {
    throw new Error(`stdout is no JSON document: ${stdout.slice(0, 500)}`, { cause });
  }
}

/**
 * The command lines of processes that have to do with a folder: it is in their arguments, their environment, their
 * working folder, or among their open files. Servers whose data lies elsewhere are found by the files they log to.
 */
export async function leftRunning(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const texts = await Promise.all([read(pid, 'cmdline'), read(pid, 'environ'), linksOf(pid)]);
    if (texts.some((text) => text.includes(folder))) found.push(`${pid} ${texts[0].replaceAll('\0', ' ')}`);
  }
  return found;
}

/** A process that can be told from a later one with the same id. */
export type ProcessIdentity = { pid: number; startedAt: string };

/** All that a process has started and that still hangs on it, by whatever way, itself included. */
export async function familyOf(pid: number): Promise<ProcessIdentity[]> {
  const all = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(statOf));
  const family = all.filter((one) => one?.pid === pid);
  for (const member of family) family.push(...all.filter((one) => one?.parent === member?.pid));
  return family.flatMap((one) => (one === undefined ? [] : [{ pid: one.pid, startedAt: one.startedAt }]));
}

/** Those of them that are still there. */
export async function aliveOf(processes: readonly ProcessIdentity[]): Promise<ProcessIdentity[]> {
  const now = await Promise.all(processes.map(({ pid }) => statOf(String(pid))));
  return processes.filter(({ startedAt }, index) => {
    const found = now[index];
    return found?.startedAt === startedAt && found.state !== 'Z';
  });
}

type Stat = ProcessIdentity & { state: string; parent: number };

async function statOf(pid: string): Promise<Stat | undefined> {
  // after the command's name, which may hold anything: state, parent, …, and the time of the start as 22nd of all
  const fields = (await read(pid, 'stat')).split(') ').at(-1)?.split(' ') ?? [];
  const [state, parent] = fields;
  const startedAt = fields[19];
  if (state === undefined || parent === undefined || startedAt === undefined) return undefined;
  return { pid: Number(pid), state, parent: Number(parent), startedAt };
}

/** Empty for a process that has just ended or belongs to somebody else. */
const read = (pid: string, what: string): Promise<string> => readFile(`/proc/${pid}/${what}`, 'latin1').catch(() => '');

async function linksOf(pid: string): Promise<string> {
  const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const links = ['cwd', ...files.map((file) => `fd/${file}`)].map((name) =>
    readlink(`/proc/${pid}/${name}`).catch(() => ''),
  );
  return (await Promise.all(links)).join('\n');
}
