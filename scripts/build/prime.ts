// Runs a built function once and keeps what V8 compiled meanwhile: `node prime.ts FOLDER`. A process of its own, because a
// function takes its settings, its port and its signals from the process.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { constants, Script } from 'node:vm';

const folder = process.argv[2] ?? '';
const file = join(folder, 'function.js');
const address = process.env['LISTEN_ADDRESS'] ?? '127.0.0.1';
const port = Number(process.env['PORT']);
type Event = { headers: Record<string, string>; body: string };
const events = JSON.parse(process.env['PRIME_EVENTS'] ?? '[]') as Event[];

function ask(path: string, event?: Event): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { host: address, port, path, method: event === undefined ? 'GET' : 'POST', agent: false as const };
    const asked = request({ ...options, ...(event && { headers: event.headers }) }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
    });
    asked.on('error', reject).end(event?.body);
  });
}

async function untilAlive(): Promise<void> {
  for (const deadline = performance.now() + 20_000; ; await delay(20)) {
    // in functions-framework, functions answer events only
    if ([200, 405].includes(await ask('/healthz').catch(() => 0))) return;
    if (performance.now() > deadline) throw new Error(`${file} did not answer /healthz within 20 s`);
  }
}

const script = new Script(readFileSync(file, 'latin1'), {
  filename: file,
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
await (script.runInThisContext() as () => Promise<void>)();
await untilAlive();
for (const path of ['/readyz', '/metrics']) await ask(path);
for (const event of events) await ask('/', event);
// under another name first: a killed run must not leave half a cache
writeFileSync(`${file}.new`, script.createCachedData());
renameSync(`${file}.new`, join(folder, 'function.cache'));
process.exit(0);
