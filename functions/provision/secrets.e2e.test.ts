import { randomUUID } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { authenticate } from '#shared/adapters/odoo-http/authenticate.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { fleetOfThisFile, instanceIdOf, provisionRequest, until } from '#shared/testing/fleet.ts';
import { scanForSecrets } from '#shared/testing/secret-scan.ts';

// Everything is logged that can be: a secret in a statement, a parameter or a debug line would show.
const fleet = fleetOfThisFile({
  waitsForWarm: true,
  idleMs: 1_500,
  functionSettings: { LOG_LEVEL: 'trace' },
  postgresSettings: {
    log_statement: 'all',
    log_min_duration_statement: '0',
    log_parameter_max_length: '-1',
    log_parameter_max_length_on_error: '-1',
    log_connections: 'on',
  },
});

const plain = provisionRequest('plain');
const byJob = provisionRequest('by-job', { modules: ['crm'], settings: { email_from: 'info@by-job.example' } });
const broken = provisionRequest('broken', { modules: ['no_such_module'] });

type Secret = { data: Record<string, string> };

async function credentialsOf(instanceId: string): Promise<Record<string, string>> {
  const path = `/api/v1/namespaces/${tenantNamespace}/secrets/${namesOf(instanceId).credentialsSecret}`;
  const { data } = (await fleet().cluster.request('GET', path)).body as unknown as Secret;
  return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]));
}

describe('the secrets of a fleet', () => {
  it('open what they are for', async () => {
    for (const event of [plain, byJob, broken]) await fleet().publish(event);
    await fleet().operationIn('succeeded', instanceIdOf(plain));
    await fleet().operationIn('succeeded', instanceIdOf(byJob));
    await fleet().operationIn('failed', instanceIdOf(broken));
    const id = instanceIdOf(plain);
    const password = (await credentialsOf(id))['admin-password'] ?? '';
    const url = `http://plain.localhost:${fleet().ingressPort}`;
    await until('the page', async () => (await fleet().loginPage('plain')) === 200);
    const { database } = namesOf(id);
    const login = 'owner@plain.example';
    expect(await authenticate(url, { login, password, database })).toEqual(expect.any(Number));
    expect(await authenticate(url, { login, password: `${password}x`, database })).toBe(false);
    expect(await authenticate(url, { login: 'admin', password: 'admin', database })).toBe(false);
  });

  it('are in no log, row, event, number, object, command line or environment, also when things go wrong', async () => {
    await fleet().command('cancel', instanceIdOf(broken));
    await fleet().operationIn('cancelled', instanceIdOf(broken));
    const { leaks, searched } = await scanForSecrets(fleet());
    expect(leaks).toEqual([]);
    // five of each instance (three passwords, and its settings' two again or the Job's), the template's, the servers'
    expect(searched.secrets).toBeGreaterThan(15);
    expect(searched.places).toBeGreaterThan(60);
    expect(searched.bytes).toBeGreaterThan(500_000);
  });

  it.each([
    ['a log', async (value: string) => appendFile(join(fleet().folder, 'functions', 'provision-1.log'), value)],
    ['a file in base64', (value: string) => writeLog('redis', Buffer.from(value).toString('base64'))],
    ['a row', (value: string) => fleet().rows("insert into leases values ('x', $1, now())", [value])],
    [
      'a dead event',
      async (value: string) => {
        const bad = provisionRequest('x', { name: value });
        await fleet().deliver('provision', { ...bad, id: randomUUID() });
      },
    ],
    [
      'an object',
      async (value: string) => {
        const path = `/api/v1/namespaces/${tenantNamespace}/configmaps`;
        await fleet().cluster.request('POST', path, { body: { metadata: { name: 'leak' }, data: { value } } });
      },
    ],
  ])('would be found in %s', async (_, plant) => {
    const before = (await scanForSecrets(fleet())).leaks.length;
    const credentials = await credentialsOf(instanceIdOf(plain));
    await plant(` ${credentials['master-password'] ?? ''} `);
    const { leaks } = await scanForSecrets(fleet());
    expect(leaks.length).toBeGreaterThan(before);
    expect(leaks.map(({ secret }) => secret)).toContain(
      `${namesOf(instanceIdOf(plain)).credentialsSecret} master-password`,
    );
  });
});

describe('the numbers of a function', () => {
  /** The values of a number whose labels hold at least these. */
  async function numbersOf(name: string, number: string, labels: Record<string, string> = {}): Promise<number[]> {
    const answer = await request(`${fleet().functions.url(name)}/metrics`);
    const lines = (await answer.body.text()).split('\n').filter((line) => line.startsWith(`${number}{`));
    const wanted = Object.entries({ function: name, ...labels }).map(([key, value]) => `${key}="${value}"`);
    return lines
      .filter((line) => wanted.every((label) => line.includes(label)))
      .map((line) => Number(line.split(' ').at(-1)));
  }

  it.each(['provision', 'observe', 'reconcile'])('%s: rate, errors, duration, pool and process', async (name) => {
    await fleet().deliver(name, { id: '1', source: 'urn:test', type: 'no.such.type' });
    const refused = { type: 'unknown', outcome: 'refused', status: '204' };
    expect((await numbersOf(name, 'fleet_request_duration_seconds_count', refused))[0]).toBeGreaterThan(0);
    expect(await numbersOf(name, 'fleet_request_duration_seconds_bucket', { ...refused, le: '120' })).toHaveLength(1);
    expect(await numbersOf(name, 'fleet_pool_max_connections', { pool: 'platform' })).toEqual([5]);
    expect(await numbersOf(name, 'fleet_pool_waiting_requests', { pool: 'platform' })).toHaveLength(1);
    expect(await numbersOf(name, 'fleet_requests_in_flight')).toHaveLength(1);
    expect((await numbersOf(name, 'process_resident_memory_bytes'))[0]).toBeGreaterThan(1e7);
  });

  it('reconcile: the ready clones of each server', async () => {
    const ready = () => numbersOf('reconcile', 'fleet_warm_databases', { server: 'odoo-1' });
    expect(await until('the clone to be counted', async () => (await ready())[0] === 1)).toBe(true);
  });

  it('provision: the time of each step', async () => {
    const event = provisionRequest('measured');
    await fleet().deliver('provision', event);
    const acted = { kind: 'provision', step: 'personalise', phase: 'act' };
    expect((await numbersOf('provision', 'fleet_step_duration_seconds_count', acted))[0]).toBeGreaterThan(0);
    await fleet().operationIn('succeeded', instanceIdOf(event));
  });
});

describe('a function without work', () => {
  const processesOf = (name: string) =>
    fleet()
      .functions.running()
      .filter((one) => one.name === name);

  it('is stopped, and started by its next event', async () => {
    await until('provision to be stopped', async () => processesOf('provision').length === 0, { timeoutMs: 30_000 });
    const event = provisionRequest('cold');
    await fleet().publish(event);
    await until('provision to be started', async () => processesOf('provision').length > 0, { everyMs: 10 });
    expect(processesOf('provision')).toHaveLength(1);
    await fleet().operationIn('succeeded', instanceIdOf(event));
  });
});

async function writeLog(server: 'redis', text: string): Promise<void> {
  await appendFile(fleet().servers[server].logFile, text);
}
