import { parseArgs } from 'node:util';

/** In the order they run. */
export const benchNames = [
  'event',
  'pool',
  'status',
  'provision',
  'burst',
  'reconcile',
  'cache',
  'kubernetes',
  'cold',
  'http-client',
  'backup',
  'restore',
  'clone',
  'webhook',
  'api',
  'load',
  'cluster',
] as const;
export type BenchName = (typeof benchNames)[number];

/** What `npm run bench` was asked for. */
export type BenchOptions = {
  names: readonly BenchName[];
  json: boolean;
  /** A missed goal is a failure. */
  strict: boolean;
  /** Each bench has its own number unless stated. */
  rounds: number | undefined;
  /** Which Odoo `provision` and `restore` boot. */
  odoo: 'real' | 'stand-in';
};

export const usage = `Usage: npm run bench -- [names] [options]

Measures the product on this machine. The arms of a comparison take turns in one run, so ratios hold on a machine that
has other work; absolute times do not carry over to other machines.

  event      requests/s of serve() against bare node:http and functions-framework's CloudEvent host
  pool       queries/s through the kept pool against a connection per query, through PgBouncer
  status     events of the cluster through observe's handler against pgbench with the same statements, through PgBouncer
  provision  an event until its login page answers, against the boot of the same Odoo alone; claim and refill of databases
  burst      1, 5, 10 and 20 provisions at once with the stand-in: time and memory
  reconcile  passes over 1,000, 10,000 and 50,000 instances in which nothing drifted: calls, time, memory, rows written;
             what a tick asks about backups, against a bare page of instances
  cache      Zipf reads of 10,000 rows with 5 % writes: hits, own copies against Redis, staleness here and elsewhere
  kubernetes reads from a Kubernetes API by the product's client, against undici alone and @kubernetes/client-node
  cold       spawn of a function until it is ready, and until its first event is accepted, against a bare server
  http-client new connections per request of the clients that keep some: to brokers, functions, customers and Kill Bill
  backup     a backup of 1 GB: its dump against pg_dump's limit, the whole Job to an S3 server, memory, the second backup
  restore    restores and undos of a running instance: what a client misses who asks every 50 ms, against Odoo's boot alone
  clone      a copy of 1 GB from a backup, compared and neutral, against CREATE DATABASE TEMPLATE
  webhook    a notification of Kill Bill until it is kept and answered, at 200/s, against the INSERT alone
  api        list, search, detail and create through the function api, against the same SQL by bare node:http and pg; cached
             details against others; round trips of the rate limit
  load       the load profile of scripts/load by k6, scaled down: ramp, spike and soak with its thresholds; needs Go, once
  cluster    events through a real Knative broker to a deployed function, against a bare subscriber; idle memory. Only where
             the cluster of npm run cluster runs: the fleet is deployed on it anew

  --rounds N    measurements per arm (default: 11 for cold, 10 for provision, 9 for kubernetes, 5 for event, pool, cache,
                webhook and api, 1 for reconcile, 3 for the others; load runs once)
  --odoo WHICH  for provision and restore: real (Odoo 19, the default) or stand-in (quick; only looks like Odoo)
  --strict      exit code 1 when a goal is missed
  --json        print one JSON document last, and tables on stderr
  --help        this text

Exit codes: 0 measured (missed goals are named), 1 something failed, or a goal was missed with --strict, 2 wrong options.
`;

/** Reads the command line. @throws TypeError with a message for the person who typed it. */
export function readOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      odoo: { type: 'string', default: 'real' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { json, strict, odoo } = values;
  const unknown = positionals.find((name) => !isBenchName(name));
  if (unknown !== undefined) throw new TypeError(`No bench is called ${unknown}; there are ${benchNames.join(', ')}.`);
  if (odoo !== 'real' && odoo !== 'stand-in') {
    throw new TypeError(`--odoo takes real or stand-in, not ${JSON.stringify(odoo)}.`);
  }
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= 1 && rounds <= 1000)) {
    throw new TypeError(`--rounds takes a whole number from 1 to 1000, not ${JSON.stringify(values.rounds)}.`);
  }
  const names = positionals.length === 0 ? benchNames : benchNames.filter((name) => positionals.includes(name));
  return { names, json, strict, rounds, odoo };
}

function isBenchName(name: string): name is BenchName {
  return benchNames.some((known) => known === name);
}
