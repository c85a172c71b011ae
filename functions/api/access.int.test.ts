import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRedisConnection, type RedisConnection } from '#shared/adapters/redis/connection.ts';
import { windowScripts } from '#shared/adapters/redis/rate-limit.ts';
import { type Access, openAccess } from '#shared/runtime/access/open.ts';
import { parseConfig } from '#shared/runtime/config.ts';
import { access as accessRows } from '#shared/runtime/edge-rows.ts';
import { cache as cacheRows } from '#shared/runtime/rows.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { apiOfThisFile } from './served-api.fixture.ts';

// The API with real tokens, keys of an issuer and limits, as its settings make them.

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

const issuer = 'https://id.example';
const audience = 'odoo-fleet';
const passwordFile = '/redis-password';

let pair: Pair;
let stranger: Pair;
let keys: Server;
let access: Access;
let windows: RedisConnection;

beforeAll(async () => {
  pair = await generateKeyPair('ES256', { extractable: true });
  stranger = await generateKeyPair('ES256', { extractable: true });
  const set = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' }] };
  keys = createServer((_request, response) => response.end(JSON.stringify(set))).listen(0, '127.0.0.1');
  await once(keys, 'listening');
});
afterAll(async () => {
  await access.end();
  windows.close();
  keys.closeAllConnections();
  keys.close();
});

const api = apiOfThisFile({
  access: ({ database, log }) => {
    const { redis } = sharedServers();
    const env = {
      JWT_ISSUER: issuer,
      JWT_AUDIENCE: audience,
      JWT_JWKS_URL: `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys`,
      RATE_LIMIT_READS: '20',
      REDIS_HOST: redis.host,
      REDIS_PORT: String(redis.port),
      REDIS_PASSWORD_FILE: passwordFile,
    };
    const config = parseConfig({ ...accessRows, ...cacheRows }, env, { readFile: () => redis.password });
    // how many are allowed is counted by all together only while Redis answers in time
    windows = openRedisConnection(redis, { log, patienceMs: 10_000, scripts: windowScripts });
    access = openAccess(config, { database, log, namespace: `test-${process.pid}`, redis: windows });
    return access;
  },
});

const mine = testInstanceId(1);
beforeAll(async () => {
  await insertCatalogue(api().database);
  await insertTestInstance(api().database, mine);
});

type Change = (jwt: SignJWT) => SignJWT;
async function token(
  claims: Record<string, unknown>,
  change: Change = (jwt) => jwt,
  { signer = pair, kid = 'k1' } = {},
): Promise<string> {
  const jwt = new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setExpirationTime('5 minutes');
  return await change(jwt).sign(signer.privateKey);
}
const ofCustomer = (sub: string, customer = 'c-1') => ({ sub, role: 'customer', customer_id: customer });

async function get(path: string, bearer: string | undefined) {
  const answer = await fetch(`${api().url}${path}`, {
    headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
  });
  return { status: answer.status, headers: answer.headers, body: JSON.parse(await answer.text()) };
}

describe('a token of the issuer', () => {
  it('shows a customer his own instance, and another customer nothing', async () => {
    const path = `/v1/instances/${mine}`;
    expect((await get(path, await token(ofCustomer('owner')))).status).toBe(200);
    const other = await get(path, await token(ofCustomer('other', 'c-2')));
    const missing = await get('/v1/instances/aaaaaaaaaaaa', await token(ofCustomer('other', 'c-2')));
    expect([other.status, other.body.detail]).toEqual([404, missing.body.detail]);
    expect((await get(path, await token({ sub: 'helper', role: 'support' }))).status).toBe(200);
  });

  it('of a service opens what its scopes say', async () => {
    const bearer = await token({ sub: 'reporting', role: 'service', scope: 'backups:read' });
    expect((await get('/v1/backups', bearer)).status).toBe(200);
    expect(await get('/v1/instances', bearer)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  const forged = async (alg: string) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const exp = Math.floor(Date.now() / 1_000) + 300;
    const input = `${part({ alg, kid: 'k1' })}.${part({ ...ofCustomer('x'), iss: issuer, aud: audience, exp })}`;
    const secret = await exportSPKI(pair.publicKey);
    return `${input}.${alg === 'none' ? '' : createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  it.each<[string, () => Promise<string | undefined>]>([
    ['none', async () => undefined],
    ['one with the algorithm none', () => forged('none')],
    ['one signed with the public key', () => forged('HS256')],
    ['one that has expired', () => token(ofCustomer('x'), (jwt) => jwt.setExpirationTime('-1 minute'))],
    ['one for another audience', () => token(ofCustomer('x'), (jwt) => jwt.setAudience('shop'))],
    ['one of another issuer', () => token(ofCustomer('x'), (jwt) => jwt.setIssuer('https://evil.example'))],
    ['one with an unknown key', () => token(ofCustomer('x'), undefined, { kid: 'k2' })],
    ['one of a stranger', () => token(ofCustomer('x'), undefined, { signer: stranger })],
    ['something else', async () => 'x'],
    ['a key that was never made', async () => `fleet_abcdefghijklmnop_${'A'.repeat(43)}`],
  ])('has to be right: %s is answered with 401, and says which header is meant', async (_which, make) => {
    const answer = await get('/v1/instances', await make());
    expect(answer).toMatchObject({
      status: 401,
      body: { code: 'unauthenticated', errors: [{ field: 'header.authorization' }] },
    });
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
  });
});

describe('the limit of reads', () => {
  it('is told with each answer, and says when to come back once it is reached', async () => {
    const bearer = await token({ sub: 'busy', role: 'admin' });
    const answers = await Promise.all(Array.from({ length: 30 }, () => get('/v1/plans', bearer)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
    const denied = answers.filter(({ status }) => status === 429);
    expect(denied).toHaveLength(10);
    for (const { headers, body } of denied) {
      const seconds = Number(headers.get('retry-after'));
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThanOrEqual(60);
      expect(body.code).toBe('too-many-requests');
    }
  });

  it('is each reader’s own', async () => {
    const one = await token({ sub: 'one', role: 'admin' });
    await Promise.all(Array.from({ length: 25 }, () => get('/v1/plans', one)));
    expect((await get('/v1/plans', one)).status).toBe(429);
    expect((await get('/v1/plans', await token({ sub: 'two', role: 'admin' }))).status).toBe(200);
  });
});
