import { parseArgs } from 'node:util';

/** What `npm run local` was asked for. */
export type LocalOptions = {
  /** On the machine's own cluster with Knative, instead of in the sandbox. */
  cluster: boolean;
  /** Check the login, print the table and end, instead of staying up. */
  once: boolean;
  json: boolean;
  odoo: 'real' | 'stand-in';
  /** Forget an earlier run's data. */
  fresh: boolean;
  /** Keep functions running instead of starting them with their first event. */
  warm: boolean;
  /** The instance's name: http://<name>.localhost:PORT. */
  name: string;
  port: number | undefined;
  folder: string | undefined;
};

export const usage = `Usage: npm run local -- [options]

Brings up a whole fleet on this machine and provisions one Odoo in it, by an event to the broker.
Stays up until Ctrl-C. Data is kept in .fleet/ and found again by the next run.

  --cluster          on a real Kubernetes with Knative instead: see below
  --once             check the login over JSON-RPC, print the table of steps and end
  --odoo WHICH       real (Odoo 19, the default) or stand-in (quick; only looks like Odoo)
  --name NAME        name of the instance, default "demo"
  --port PORT        port of the instances' addresses, default 8080 or a free one
  --fresh            forget the data of earlier runs first
  --warm             keep all functions running
  --folder FOLDER    where data and logs go, default .fleet/<real or stand-in>
  --json             print one JSON document last, and progress on stderr
  --help             this text

With --cluster the machine's own one-node cluster is brought up (npm run cluster -- --help says what it needs), the fleet
is deployed there from this checkout by the shipped manifests, and the event goes to the real Broker. Its instances are
served at the same addresses on this machine. The data of such a fleet goes with it; the cluster stays up, unless this
run has started it. It takes --once, --name, --port and --json.

Exit codes: 0 done, 1 something failed (the message says what), 2 wrong options, 130 ended by Ctrl-C.
`;

/** Reads the command line. @throws TypeError with a message for the person who typed it. */
export function readOptions(args: readonly string[]): LocalOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      cluster: { type: 'boolean', default: false },
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      odoo: { type: 'string', default: 'real' },
      fresh: { type: 'boolean', default: false },
      warm: { type: 'boolean', default: false },
      name: { type: 'string', default: 'demo' },
      port: { type: 'string' },
      folder: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { odoo, name } = values;
  if (odoo !== 'real' && odoo !== 'stand-in') {
    throw new TypeError(`--odoo takes real or stand-in, not ${JSON.stringify(odoo)}.`);
  }
  if (!/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) {
    throw new TypeError(`--name takes a-z, 0-9 and "-", beginning with a letter, not ${JSON.stringify(name)}.`);
  }
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    throw new TypeError(`--port takes a number from 1 to 65535, not ${JSON.stringify(values.port)}.`);
  }
  const { cluster, once, json, fresh, warm, folder } = values;
  if (cluster) refuseSandboxOptions({ odoo, fresh, warm, folder });
  return { cluster, once, json, odoo, fresh, warm, name, port, folder };
}

/** What has no meaning on the cluster. */
function refuseSandboxOptions({ odoo, fresh, warm, folder }: Pick<LocalOptions, 'odoo' | 'fresh' | 'warm' | 'folder'>) {
  if (odoo === 'stand-in') throw new TypeError('--cluster runs the real Odoo: leave out --odoo stand-in.');
  if (fresh) throw new TypeError('--cluster begins anew each time: leave out --fresh.');
  if (warm) throw new TypeError('--cluster starts functions as their manifests say: leave out --warm.');
  if (folder !== undefined) throw new TypeError('--cluster keeps nothing: leave out --folder.');
}
