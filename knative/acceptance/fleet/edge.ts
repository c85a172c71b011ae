import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { subscriptionCreated } from '#events/billing/subscription-created.ts';
import { secret } from '#scripts/cluster/fleet/manifests.ts';
import { scopesOfRole } from '#shared/domain/access/principal.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import { newSecret, secretText } from '#shared/domain/webhook/secret.ts';
import { mintKey } from '#shared/runtime/access/mint-key.ts';
import { type Answer, until } from '../cluster.fixture.ts';
import { type FleetUnderTest, mailSender } from './fleet.fixture.ts';
import { functionNamespace, succeeded } from './instance.fixture.ts';

const components = join(import.meta.dirname, '..', '..', 'components');
const customer = 'edge';
const owner = 'owner@edge.example';

type Asked = { body?: unknown; headers?: Record<string, string> };

/** The ways in and out, as people, billing services, receivers and mail servers meet them. */
export function edgeTests(fleet: () => FleetUnderTest): void {
  let key = '';
  let endpoint: { id: string; secret: string };
  let operation = '';
  let instance = '';

  beforeAll(async () => {
    const grant = { role: 'admin', customerId: null, scopes: scopesOfRole.admin } as const;
    const expiresAt = new Date(Date.now() + 3_600_000);
    const wanted = { grant, name: 'acceptance', expiresAt, by: 'acceptance' };
    key = (await fleet().records.transaction((transaction) => mintKey(transaction, wanted))).text;
  });

  /** From outside of the cluster's own names: by the gateway, with the host that the Knative Service was given. */
  async function ask(name: string, method: string, path: string, { body, headers = {} }: Asked = {}): Promise<Answer> {
    const address = ['-n', functionNamespace, 'get', `ksvc/${name}`, '-o', 'jsonpath={.status.url}'];
    const { host } = new URL(await fleet().kubectl.run(address));
    expect(host).not.toMatch(/\.svc\.|\.local$/);
    return await fleet().fromPod(`${gateway}${path}`, {
      method,
      headers: { host, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  }

  const asAdmin = (method: string, path: string, body?: unknown) =>
    ask('api', method, path, { body, headers: { authorization: `Bearer ${key}` } });

  it('describes the API to anyone', async () => {
    const { status, body } = await ask('api', 'GET', '/openapi.json');
    expect(status).toBe(200);
    expect(JSON.parse(body ?? '')).toMatchObject({ openapi: expect.stringMatching(/^3\.1/) });
  });

  it.each([
    ['no key', {}],
    ['no such key', { authorization: 'Bearer fleet_nobody' }],
  ])('refuses whoever has %s', async (_who, headers) => {
    const { status, headers: given, body } = await ask('api', 'GET', '/v1/instances', { headers });
    expect([status, given?.['content-type']]).toEqual([401, 'application/problem+json']);
    expect(body).not.toContain('items');
  });

  it('accepts an instance by HTTP, of which a real Odoo comes', async () => {
    await fleet().rows('insert into customers (id) values ($1) on conflict do nothing', [customer]);
    const url = fleet().deskUrl('/note/webhook');
    const made = await asAdmin('POST', '/v1/webhook-endpoints', { url, customer });
    expect([made.status, made.body]).toEqual([201, expect.any(String)]);
    endpoint = JSON.parse(made.body ?? '') as typeof endpoint;

    const wanted = { name: 'edge', customer, plan: 'small', owner: { email: owner } };
    const { status, headers, body } = await asAdmin('POST', '/v1/instances', wanted);
    expect([status, body]).toEqual([202, expect.stringContaining('accepted')]);
    ({ id: operation, instanceId: instance } = JSON.parse(body ?? '') as { id: string; instanceId: string });
    expect(headers?.['location']).toBe(`/v1/operations/${operation}`);
    await succeeded(fleet(), operation);
    const page = await until(
      'the login page',
      async () => {
        const answer = await fleet().page(instance);
        return answer.status === 200 && answer;
      },
      { limitMs: 60_000 },
    );
    expect(page.body).toContain('name="login"');
    const seen = await asAdmin('GET', `/v1/instances/${instance}`);
    expect(JSON.parse(seen.body ?? '')).toMatchObject({ status: 'running', customerId: customer });
  }, 400_000);

  it("tells a customer's endpoint of it, signed", async () => {
    const type = 'dev.odoofleet.instance.provisioned';
    const told = await until(
      `${type} at the receiver`,
      async () => {
        const all = (await fleet().noted()).filter(({ path }) => path === '/note/webhook');
        return all.find(({ body }) => body.includes(type) && body.includes(instance));
      },
      { limitMs: 120_000 },
    );
    const headers = Object.fromEntries(Object.entries(told.headers).map(([name, value]) => [name, value ?? '']));
    expect(new Webhook(endpoint.secret).verify(told.body, headers)).toMatchObject({ type });
    expect(() => new Webhook(secretText(newSecret())).verify(told.body, headers)).toThrow();
    // the row is written when the receiver has answered
    const delivered = `select 1 from webhook_deliveries where endpoint_id = $1 and state = 'succeeded'`;
    await until('the delivery to be noted', async () => (await fleet().rows(delivered, [endpoint.id])).length > 0, {
      limitMs: 30_000,
    });
  }, 180_000);

  it('writes to its owner by the mail server of the settings, with a link and no password', async () => {
    const mail = await until('the mail', async () => fleet().mails.received.find(({ to }) => to === owner), {
      limitMs: 120_000,
    });
    expect(mail.from).toBe(mailSender);
    const { host } = new URL(
      await fleet().kubectl.run(['-n', functionNamespace, 'get', 'ksvc/api', '-o', 'jsonpath={.status.url}']),
    );
    // quoted-printable breaks lines by "=" at their ends
    expect(mail.text.replaceAll(/=\r?\n/g, '')).toContain(`http://${host}/`);
    expect(mail.text).toContain('edge');
  }, 150_000);

  it('takes a signed message of a billing service, of which an event comes', async () => {
    const key = secretText(newSecret());
    await offerSignedForm(fleet(), key);
    const { type, example } = subscriptionCreated;
    const data = { ...example, subscription: `s-${randomUUID()}`, customer };
    const body = JSON.stringify({ type, data: { ...data, configuration: undefined } });
    const id = `msg_${randomUUID()}`;
    const send = (by: string) => ask('billing-webhook', 'POST', '/events', { body, headers: signed(by, { id, body }) });
    expect((await send(secretText(newSecret()))).status).toBe(401);
    const { status, body: said } = await send(key);
    expect([status, said]).toEqual([202, '{"status":"accepted"}']);
    expect((await send(key)).body).toBe('{"status":"repeated"}');
    const taken = 'select outcome from inbox where id = $1';
    const eventId = eventIdOf(id, 'signed billing message');
    await until('billing to take the event', async () => (await fleet().rows(taken, [eventId])).length > 0, {
      limitMs: 120_000,
    });
    const held = 'select 1 from subscriptions where customer_id = $1 and id = $2';
    expect(await fleet().rows(held, [customer, data.subscription])).toHaveLength(1);
  }, 400_000);
}

/** Where requests from outside come in, whatever host they name. */
const gateway = 'http://fleet-ingress.knative-serving.svc.cluster.local';

function signed(key: string, { id, body }: { id: string; body: string }): Record<string, string> {
  const now = new Date();
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
    'webhook-signature': new Webhook(key).sign(id, now, body),
  };
}

/** As component `signed-billing` says: its Secret, then its patch. Waits until the function takes such messages. */
async function offerSignedForm({ kubectl }: FleetUnderTest, key: string): Promise<void> {
  await kubectl.apply([secret('signed-billing', functionNamespace, { secret: key })]);
  const text = await readFile(join(components, 'signed-billing', 'billing-webhook.yaml'), 'utf8');
  const service = ['-n', functionNamespace, 'patch', 'ksvc/billing-webhook', '--type=json'];
  await kubectl.run([...service, '-p', JSON.stringify(parse(text))]);
  const ready = async () => {
    const found = await kubectl.run(['-n', functionNamespace, 'get', 'ksvc/billing-webhook', '-o', 'json']);
    const { metadata, status } = JSON.parse(found) as KnativeService;
    const isReady = status.conditions.some((one) => one.type === 'Ready' && one.status === 'True');
    return status.observedGeneration === metadata.generation && isReady;
  };
  await until('billing-webhook with its secret to be ready', ready, { limitMs: 180_000 });
}

type KnativeService = {
  metadata: { generation: number };
  status: { observedGeneration: number; conditions: { type: string; status: string }[] };
};
