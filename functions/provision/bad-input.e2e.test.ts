import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fleetOfThisFile, instanceIdOf, provisionRequest, type RawEvent, until } from '#shared/testing/fleet.ts';
import { scanForSecrets } from '#shared/testing/secret-scan.ts';
import { badEvents, hostileNames, request } from './bad-input.fixture.ts';

const fleet = fleetOfThisFile();

type DeadEvent = { reason_code: string; reason: string; received_by: string; bytes: number };

const lastDead = async (): Promise<number> =>
  (await fleet().rows<{ last: number }>('select coalesce(max(sequence), 0)::integer as last from dead_events'))[0]
    ?.last ?? 0;

const deadSince = (sequence: number) =>
  fleet().rows<DeadEvent>(
    `select reason_code, reason, received_by, octet_length(body) as bytes from dead_events
     where sequence > $1 order by sequence`,
    [sequence],
  );

const counts = async () =>
  (await fleet().rows('select count(*)::integer as operations from operations'))[0] as { operations: number };

describe('an event that nobody can handle', () => {
  it.each(badEvents)('with $what is kept with the reason and answered 204 when posted to the function', async (one) => {
    const before = await lastDead();
    const operations = await counts();
    const answer = await fleet().deliver('provision', one.event());
    expect(answer).toEqual({ status: 204, outcome: 'refused', body: '' });
    const [dead, ...others] = await deadSince(before);
    expect(others).toEqual([]);
    expect(dead).toMatchObject({ reason_code: 'invalid-event', received_by: 'provision' });
    expect(dead?.reason).toMatch(one.reason);
    expect(await counts()).toEqual(operations);
  });

  it('is taken by the broker, kept once with the reason, and never retried', async () => {
    const through = badEvents.filter(({ by }) => by !== 'function');
    const before = await lastDead();
    for (const { what, event } of through) {
      expect([what, (await fleet().deliver('provision', event())).status]).toEqual([what, 204]);
    }
    const direct = await deadSince(before);
    const middle = await lastDead();
    const unwanted = () =>
      Object.values(fleet().broker.stats().triggers).reduce(
        (sum, { retried, deadLettered }) => sum + retried + deadLettered,
        0,
      );
    const unwantedBefore = unwanted();
    for (const { event } of through) await publishRaw(event());
    const brokered = await until('all of them to be kept', async () => {
      const found = await deadSince(middle);
      return found.length >= through.length && found;
    });
    expect(brokered.map(({ reason }) => reason).sort()).toEqual(direct.map(({ reason }) => reason).sort());
    await fleet().broker.idle();
    expect(unwanted()).toBe(unwantedBefore);
  });

  it('is refused by the broker itself when it is no CloudEvent', async () => {
    const statuses = [];
    for (const { by, event } of badEvents) if (by === 'function') statuses.push((await publishRaw(event())).status);
    expect(statuses).toEqual(statuses.map(() => 400));
  });

  it.each(hostileNames)('with the name %s is refused at the edge, which names the field', async (_, name) => {
    const before = await lastDead();
    const answer = await fleet().deliver('provision', provisionRequest('good', { name }));
    expect(answer).toMatchObject({ status: 204, outcome: 'refused', body: '' });
    const [dead] = await deadSince(before);
    expect(dead?.reason).toMatch(/data\.name must be/);
  });

  it.each([
    ['customer', { customer: "c'; --" }],
    ['plan', { plan: '../small' }],
    ['instance', { instance: 'template1' }],
    ['modules[1]', { modules: ['crm', 'sale; rm -rf /'] }],
    ['owner.email', { owner: { email: "x'@y.example\n" } }],
    ['language', { language: 'en_US; --' }],
    ['settings.email_from', { settings: { email_from: 'x@y.example\nadmin_passwd = x' } }],
    ['idempotencykey', { idempotencykey: 'a b' }],
  ])('with a hostile %s names that field', async (field, data) => {
    const before = await lastDead();
    expect(await fleet().deliver('provision', provisionRequest('good', data))).toMatchObject({ outcome: 'refused' });
    expect((await deadSince(before))[0]?.reason).toContain(`data.${field} `);
  });
});

describe('a request that is well formed and not admitted', () => {
  it.each([
    ['the reserved name postgres', { name: 'postgres' }, 'name-reserved'],
    ['the reserved name template1', { name: 'template1' }, 'name-reserved'],
    ['an unknown plan', { plan: 'huge' }, 'unknown-plan'],
    ['an unknown image', { image: 'odoo-12' }, 'unknown-image'],
    ['a setting of the platform', { settings: { list_db: true } }, 'invalid-request'],
  ])('for %s is refused with an event and a line in the audit', async (_, data, code) => {
    const before = await lastDead();
    const event = provisionRequest('good', data);
    expect(await fleet().deliver('provision', event)).toEqual({ status: 204, outcome: 'refused', body: '' });
    const audit = await fleet().rows(
      `select actor, action, detail ->> 'code' as code from audit where detail ->> 'event' = $1`,
      [event.id],
    );
    expect(audit).toEqual([{ actor: event.source, action: 'provision.refused', code }]);
    // Whoever looks into the outbox at that moment may be the one who sends it.
    const told = await until('the event to be published', async () => {
      const [last] = await fleet().rows<{ code: string; published: boolean }>(
        `select data ->> 'code' as code, published_at is not null as published from outbox
         where type = 'dev.odoofleet.instance.provision.failed' and data ->> 'customer' = 'customer-good'
         order by sequence desc limit 1`,
      );
      return last?.published === true && last.code;
    });
    expect(told).toBe(code);
    expect(await deadSince(before)).toEqual([]);
  });
});

describe('the next good event', () => {
  const good = provisionRequest('good');

  it('is handled through the broker', async () => {
    expect((await fleet().publish(good)).status).toBe(202);
    await fleet().operationIn('succeeded', instanceIdOf(good));
    expect(await until('the page', async () => (await fleet().loginPage('good')) === 200)).toBe(true);
  });

  it('is the same one when it comes again, and another one under its id is refused', async () => {
    expect(await fleet().deliver('provision', good)).toEqual({ status: 204, outcome: 'duplicate', body: '' });
    const before = await lastDead();
    const liar = provisionRequest('other', {}, { id: good.id });
    expect(await fleet().deliver('provision', liar)).toEqual({ status: 204, outcome: 'refused', body: '' });
    const [dead] = await deadSince(before);
    expect(dead).toMatchObject({ reason_code: 'reused-event-id' });
    expect(dead?.reason).toContain(`Event id ${good.id} of source ${good.source}`);
    expect(await fleet().rows(`select 1 from instances where name = 'other'`)).toEqual([]);
  });

  it('is the same one under another id when its idempotency key is the same', async () => {
    const first = provisionRequest('keyed', { idempotencykey: 'order-1' });
    await fleet().publish(first);
    await fleet().operationIn('succeeded', instanceIdOf(first));
    const again = provisionRequest('keyed', { idempotencykey: 'order-1' });
    expect(await fleet().deliver('provision', again)).toMatchObject({ status: 204, outcome: 'repeated' });
    const other = provisionRequest('keyed-too', { idempotencykey: 'order-1' });
    expect(await fleet().deliver('provision', other)).toMatchObject({ status: 204, outcome: 'refused' });
    expect(await fleet().rows(`select name from instances where name like 'keyed%'`)).toEqual([{ name: 'keyed' }]);
  });
});

describe('while the platform database is down', () => {
  it('answers 503, and the broker keeps the event until the database is back', async () => {
    const { platform } = fleet().servers;
    const event = provisionRequest('patient');
    const bury = request({ data: { plan: 7 } });
    await platform.stop();
    try {
      expect(await fleet().deliver('provision', event)).toEqual({ status: 503, outcome: 'unavailable', body: '' });
      expect(await fleet().deliver('provision', bury)).toEqual({ status: 503, outcome: 'unavailable', body: '' });
      expect((await fleet().publish(event)).status).toBe(202);
      await until('the first attempt to be refused', async () => {
        const { triggers } = fleet().broker.stats();
        return (triggers['provision-requested']?.retried ?? 0) > 0;
      });
    } finally {
      await platform.restart();
    }
    await fleet().operationIn('succeeded', instanceIdOf(event));
    expect(await fleet().rows(`select 1 from operations where instance_id = $1`, [instanceIdOf(event)])).toHaveLength(
      1,
    );
  });
});

it('leaves no secret anywhere', async () => {
  expect((await scanForSecrets(fleet())).leaks).toEqual([]);
});

/** As a publisher who does not care what he sends. */
async function publishRaw({ headers, body }: RawEvent): Promise<{ status: number }> {
  const answer = await fetch(fleet().broker.url, {
    method: 'POST',
    headers: { ...headers, ...(headers['ce-id'] === undefined ? {} : { 'ce-id': randomUUID() }) },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });
  await answer.arrayBuffer();
  return { status: answer.status };
}
