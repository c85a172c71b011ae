import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { Manifest } from '#scripts/cluster/fleet/manifests.ts';
import { runDeadLetters } from '#scripts/dead-letters/main.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { until } from '../cluster.fixture.ts';
import { type FleetUnderTest, publisher } from './fleet.fixture.ts';
import { cutFromDatabase } from './outage.fixture.ts';
import { numbersOf } from './pods.fixture.ts';

const type = 'dev.odoofleet.instance.provision.requested';
const provisionAddress = 'http://provision.odoo-fleet.svc.cluster.local';

type Letter = {
  id: string;
  source: string;
  received_by: string;
  origin: string;
  error_code: number;
  error_data: string | null;
  class: string;
  state: string;
  replays: number;
  attributes: Record<string, string>;
  body: Buffer;
};

/** What the real Broker cannot deliver is kept, and done once its function is back. */
export function deadLetterTests(fleet: () => FleetUnderTest): void {
  const name = 'dead-letter';
  const instance = deriveInstanceId(publisher, name);
  const order = { id: randomUUID(), type, data: orderOf(name) };

  async function letter(): Promise<Letter | undefined> {
    const columns = 'id, source, received_by, origin, error_code, error_data, class, state, replays, attributes, body';
    return (await fleet().rows<Letter>(`select ${columns} from dead_events where id = $1`, [order.id]))[0];
  }

  it('keeps a request that a function could not take, with what the Broker knows of it', async () => {
    const { publish, operationsOf } = fleet();
    await retryQuickly(fleet(), 'provision-requested');
    const mend = await cutFromDatabase(fleet(), 'provision');
    try {
      await publish(order);
      const kept = await until('the dead letter', letter, { limitMs: 60_000 });
      expect(kept).toMatchObject({
        source: publisher,
        received_by: 'dead-letter',
        error_code: 503,
        error_data: null,
        class: 'transient',
        state: 'waiting',
        // The function answers without a body; a dead letter keeps the count of its hops.
        attributes: { knativeerrorcode: '503', knativeerrordata: '', knativebrokerttl: '255' },
      });
      expect([kept.origin, kept.attributes['knativeerrordest']]).toEqual([provisionAddress, provisionAddress]);
      expect(JSON.parse(kept.body.toString())).toEqual(order.data);
      expect(await operationsOf(instance)).toEqual([]);
    } finally {
      await mend();
    }
  }, 240_000);

  it('sends it back by the tick when the function is there again, and it is done', async () => {
    const sent = async () => (await letter())?.state === 'resolved';
    await until('the tick to send it back', sent, { limitMs: 180_000 });
    expect(await fleet().settled(instance, { limitMs: 240_000 })).toBe('running');
    expect(await fleet().operationsOf(instance)).toHaveLength(1);
  }, 420_000);

  it('lets a person send it through the Broker once more, which does nothing twice', async () => {
    const { code, out } = await asPerson(fleet(), `replay --id ${order.id} --state resolved --to broker --yes`);
    expect(out).toContain('the broker has it again');
    expect(code).toBe(0);
    expect(await letter()).toMatchObject({ state: 'replayed' });
    const isKnown = async () => (await numbersOf(fleet(), 'provision')).includes('outcome="duplicate"');
    await until('provision to say that it knows the request', isKnown, { limitMs: 60_000 });
    expect(await fleet().operationsOf(instance)).toHaveLength(1);
    await fleet().request('terminate', instance);
    expect(await fleet().settled(instance, { operationCount: 2 })).toBe('terminated');
  }, 240_000);
}

function orderOf(name: string): Record<string, unknown> {
  return { customer: name, name, plan: 'small', owner: { email: `owner@${name}.example` }, idempotencykey: name };
}

/** The retries as they are shipped take half a minute. The Trigger is put back when the test is over. */
async function retryQuickly(fleet: FleetUnderTest, name: string): Promise<void> {
  const shipped = fleet.manifests.find((one) => one.kind === 'Trigger' && one.metadata.name === name) as Manifest & {
    spec: { delivery: object };
  };
  const { spec } = shipped;
  const delivery = { ...spec.delivery, retry: 3, backoffDelay: 'PT0.2S' };
  const apply = async (manifest: object) => {
    await fleet.kubectl.apply([manifest]);
    await fleet.kubectl.run(['-n', 'odoo-fleet', 'wait', '--for=condition=Ready', `trigger/${name}`, '--timeout=50s']);
  };
  await apply({ ...shipped, spec: { ...spec, delivery } });
  onTestFinished(() => apply(shipped));
}

/** Runs the program for dead letters as a person does who may ask the cluster: the broker by a forwarded port. */
async function asPerson(fleet: FleetUnderTest, line: string): Promise<{ code: number; out: string }> {
  const { kubectl, servers, folder } = fleet;
  const path = '{.data.password}';
  const secret = ['-n', 'odoo-fleet', 'get', 'secret', 'platform-postgres', '-o', `jsonpath=${path}`];
  const file = join(folder, 'platform-password');
  await writeFile(file, Buffer.from(await kubectl.run(secret), 'base64'), { mode: 0o600 });
  const port = await forwardedBroker(fleet);
  const out: string[] = [];
  const env = {
    PLATFORM_POSTGRES_HOST: servers.bouncer.host,
    PLATFORM_POSTGRES_PORT: String(servers.bouncer.port),
    PLATFORM_POSTGRES_PASSWORD_FILE: file,
    BROKER_URL: `http://127.0.0.1:${port}/odoo-fleet/fleet`,
  };
  const print = (text: string) => void out.push(text);
  const code = await runDeadLetters(line.split(' '), env, { print, printError: print });
  return { code, out: out.join('\n') };
}

async function forwardedBroker({ cluster }: FleetUnderTest): Promise<string> {
  const words = ['-n', 'knative-eventing', 'port-forward', 'service/broker-ingress', ':80'];
  const child = spawn(cluster.kubectl, ['--kubeconfig', cluster.kubeconfig, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill());
  return await new Promise((resolve, reject) => {
    // It goes on to tell of every connection, and would die of a reader that left.
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const port = /127\.0\.0\.1:(\d+) ->/.exec(text)?.[1];
      if (port !== undefined) resolve(port);
    });
    child.once('error', reject).once('exit', () => reject(new Error('kubectl forwards no port')));
  });
}
