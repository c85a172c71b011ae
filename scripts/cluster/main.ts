import { parseArgs } from 'node:util';
import { importBundle } from './base-images.ts';
import { takeDownCluster } from './down.ts';
import { runningPlaces } from './running.ts';
import { clusterStatus, statusText } from './status.ts';
import { bringUpCluster } from './up.ts';

const usage = `Usage: npm run cluster -- COMMAND

A real Kubernetes with Knative on this machine, without Docker: one node, as root on Debian 12 with Go.

  up                    start it, or what has died of it; builds and installs what is missing
                        (about 15 minutes the first time, then about a minute)
  down [--wipe]         end it and put the machine back; --wipe also removes its images
  status [--json]       daemons, pods, addresses; exit code 3 when it does not run
  image NAME FOLDER [--entry FILE]
                        make an image of a bundle on Node 24; prints its reference on stdout

Use it: export KUBECONFIG="$(npm run --silent cluster -- status --json | jq -r .kubeconfig)"
Exit codes: 0 done, 1 failed, 2 wrong options, 3 status: not running, 130 ended by a signal.
`;

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt.abort());
const started = performance.now();
const say = (line: string) =>
  console.error(`[${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s] ${line}`);

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') ?? false;
  console.error(error instanceof Error ? error.message : String(error));
  if (isUsage) console.error(`\n${usage}`);
  if (interrupt.signal.aborted) console.error('Interrupted: "down" removes what was started.');
  process.exitCode = interrupt.signal.aborted ? 130 : isUsage ? 2 : 1;
}
// A build that goes on in a child process would hold this one.
if (interrupt.signal.aborted) process.exit();

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      wipe: { type: 'boolean', default: false },
      entry: { type: 'string' },
    },
  });
  const [command, ...rest] = positionals;
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (command === 'up' && rest.length === 0) return up();
  if (command === 'down' && rest.length === 0) return down(values.wipe);
  if (command === 'status' && rest.length === 0) return status(values.json);
  if (command === 'image' && rest.length === 2) return image(rest, values.entry);
  console.error(usage);
  return 2;
}

async function up(): Promise<number> {
  const cluster = await bringUpCluster({ say, signal: interrupt.signal });
  say(cluster.isNew ? 'the cluster is up' : 'the cluster was up');
  console.log(`export KUBECONFIG=${cluster.kubeconfig}`);
  return 0;
}

async function down(isWiped: boolean): Promise<number> {
  say((await takeDownCluster({ say, isWiped })) ? 'the cluster is down' : 'there is no cluster on this machine');
  return 0;
}

async function status(isJson: boolean): Promise<number> {
  const found = await clusterStatus();
  console.log(isJson ? JSON.stringify(found, undefined, 2) : statusText(found));
  return found.isRunning ? 0 : 3;
}

async function image([name = '', folder = '']: string[], entry: string | undefined): Promise<number> {
  const places = await runningPlaces();
  if (places === undefined) throw new Error('there is no cluster on this machine: run "up" first');
  console.log(await importBundle(places, { name, folder, ...(entry === undefined ? {} : { entry }) }));
  return 0;
}
