import { beforeEach, describe, expect, test } from 'vitest';
import { type ApiKey, makeApiKey } from '#shared/domain/access/api-key.ts';
import type { Principal } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { openAuthenticator } from './authenticate.ts';

const start = new Date('2027-01-01T12:00:00Z');
const { text, ...parts } = makeApiKey();
const tokenHolder: Principal = { kind: 'user', id: 'u1', role: 'admin', customerId: null, scopes: [] };

let stored: ApiKey | undefined;
let isDown: boolean;
let finds: number;
let uses: number;
let troubles: unknown[];
let world: { nowMs: number };

beforeEach(() => {
  stored = {
    ...parts,
    name: 'ci',
    role: 'customer',
    customerId: 'acme',
    scopes: ['instances:read', 'admin:read'],
    createdAt: start,
    createdBy: 'user:u1',
    expiresAt: new Date('2027-02-01T00:00:00Z'),
    revokedAt: null,
    lastUsedAt: null,
  };
  [isDown, finds, uses, troubles, world] = [false, 0, 0, [], { nowMs: 0 }];
});

const open = () =>
  openAuthenticator({
    keys: {
      async find(ids) {
        finds += 1;
        if (isDown) throw new Failure('unavailable', 'The database at db.internal:5432 is away.');
        return stored !== undefined && ids.includes(stored.id) ? [stored] : [];
      },
      async noteUse() {
        uses += 1;
        if (isDown) throw new Failure('unavailable', 'away');
      },
    },
    verifyToken: async (token) => {
      if (token === 'good.token.x') return tokenHolder;
      throw new Failure('unauthenticated', 'no');
    },
    onTrouble: (failure) => troubles.push(failure),
    now: () => new Date(start.getTime() + world.nowMs),
    nowMs: () => world.nowMs,
    wait: async (ms) => {
      world.nowMs += ms;
    },
  });

const withKey = (shown: string) => ({ authorization: `Bearer ${shown}` });

describe('who asks', () => {
  test('with an API key has the scopes of the key that its role may have', async () => {
    expect(await open().authenticate(withKey(text))).toEqual({
      kind: 'key',
      id: parts.id,
      role: 'customer',
      customerId: 'acme',
      scopes: ['instances:read'],
    });
  });

  test('with a token is who the issuer says', async () => {
    expect(await open().authenticate({ authorization: 'bearer good.token.x' })).toBe(tokenHolder);
  });

  const { text: strangers } = makeApiKey();
  test.each([
    ['nothing', {}, 'Send "Authorization: Bearer"'],
    ['a password', { authorization: 'Basic dTpw' }, 'is not "Bearer"'],
    ['an empty bearer', { authorization: 'Bearer ' }, 'is not "Bearer"'],
    ['two words', { authorization: 'Bearer a b' }, 'is not "Bearer"'],
    ['a key nobody made', withKey(strangers), 'There is no such API key'],
    ['a key with another secret', withKey(`${text.slice(0, 23)}${strangers.slice(23)}`), 'There is no such API key'],
    ['a key of another form', withKey('fleet_x'), 'There is no such API key'],
    ['a wrong token', withKey('bad.token.x'), 'no'],
  ])('with %s is refused', async (_what, headers, why) => {
    const refusal = expect.objectContaining({ code: 'unauthenticated', message: expect.stringContaining(why) });
    await expect(open().authenticate(headers)).rejects.toThrow(refusal);
  });

  test('with a key that has expired or was revoked is refused, and told so', async () => {
    const authenticator = open();
    await authenticator.authenticate(withKey(text));
    world.nowMs = Date.parse('2027-02-01T00:00:00Z') - start.getTime();
    await expect(authenticator.authenticate(withKey(text))).rejects.toThrow('expired');
    world.nowMs = 0;
    if (stored !== undefined) stored = { ...stored, revokedAt: start };
    await expect(open().authenticate(withKey(text))).rejects.toThrow('revoked');
  });

  test('where no issuer is set needs a key', async () => {
    const keysOnly = openAuthenticator({
      keys: { find: async () => [], noteUse: async () => undefined },
      verifyToken: undefined,
      onTrouble: () => undefined,
    });
    await expect(keysOnly.authenticate(withKey('good.token.x'))).rejects.toThrow('No issuer of tokens is set');
  });
});

describe('keys that somebody makes up', () => {
  const madeUp = (count: number) => Array.from({ length: count }, () => makeApiKey().text);
  const codesOf = (asked: readonly Promise<unknown>[]) =>
    Promise.all(asked.map((one) => one.then(String, (failure: Failure) => failure.code)));

  test('are told to slow down after fifty in a second, and keep nobody out', async () => {
    const authenticator = open();
    const first = codesOf(madeUp(100).map((key) => authenticator.authenticate(withKey(key))));
    // its process has never seen it, and others ask before it
    const good = Array.from({ length: 200 }, () => authenticator.authenticate(withKey(text)));
    const last = codesOf(madeUp(100).map((key) => authenticator.authenticate(withKey(key))));
    for (const one of await Promise.all(good)) expect(one).toMatchObject({ customerId: 'acme' });
    const codes = [...(await first), ...(await last)];
    expect(codes.filter((code) => code === 'unauthenticated')).toHaveLength(50);
    expect(codes.filter((code) => code === 'too-many-requests')).toHaveLength(150);
    world.nowMs += 1_000;
    await expect(authenticator.authenticate(withKey(text))).resolves.toMatchObject({ customerId: 'acme' });
    await expect(authenticator.authenticate(withKey(madeUp(1)[0] ?? ''))).rejects.toThrow('There is no such API key');
  });

  test('cost fifty look-ups a second at most, however they come', async () => {
    const authenticator = open();
    await codesOf(madeUp(500).map((key) => authenticator.authenticate(withKey(key))));
    expect(finds).toBe(2);
    for (const key of madeUp(98)) await codesOf([authenticator.authenticate(withKey(key))]);
    expect([finds, world.nowMs]).toEqual([100, 99 * 20]);
  });

  test('are each counted, also when many show the same', async () => {
    const [key = ''] = madeUp(1);
    const authenticator = open();
    const codes = await codesOf(Array.from({ length: 60 }, () => authenticator.authenticate(withKey(key))));
    expect([codes.filter((code) => code === 'too-many-requests').length, finds]).toEqual([10, 1]);
  });

  test('are looked for again each time: one of them may have been made meanwhile', async () => {
    const authenticator = open();
    const later = stored;
    stored = undefined;
    await expect(authenticator.authenticate(withKey(text))).rejects.toThrow('There is no such API key');
    stored = later;
    expect(await authenticator.authenticate(withKey(text))).toMatchObject({ customerId: 'acme' });
  });
});

describe('a key', () => {
  test('is looked up once in ten seconds, and its use is noted once a minute', async () => {
    const authenticator = open();
    for (world.nowMs = 0; world.nowMs < 60_000; world.nowMs += 1_000) await authenticator.authenticate(withKey(text));
    expect([finds, uses]).toEqual([6, 1]);
    await authenticator.authenticate(withKey(text));
    expect(uses).toBe(2);
  });

  test('is taken no longer by the process that revoked it, at once', async () => {
    const authenticator = open();
    await authenticator.authenticate(withKey(text));
    authenticator.forget(parts.id);
    await expect(authenticator.authenticate(withKey(text))).rejects.toThrow('There is no such API key');
  });

  test('revoked elsewhere is taken for ten seconds at most', async () => {
    const authenticator = open();
    await authenticator.authenticate(withKey(text));
    stored = undefined;
    world.nowMs = 10_000;
    await expect(authenticator.authenticate(withKey(text))).rejects.toThrow('There is no such API key');
  });

  test('that cannot be looked up is not refused for good, and nothing of the database is told', async () => {
    isDown = true;
    const authenticator = open();
    const away = expect.objectContaining({ code: 'unavailable', message: expect.not.stringContaining('db.internal') });
    await expect(authenticator.authenticate(withKey(text))).rejects.toThrow(away);
    isDown = false;
    expect(await authenticator.authenticate(withKey(text))).toMatchObject({ customerId: 'acme' });
  });

  test('that was looked up a moment ago is taken while the database is away', async () => {
    const authenticator = open();
    await authenticator.authenticate(withKey(text));
    world.nowMs = 5_000;
    isDown = true;
    expect(await authenticator.authenticate(withKey(text))).toMatchObject({ customerId: 'acme' });
    expect(troubles).toEqual([]);
  });

  test('whose use cannot be noted is no trouble for who asks', async () => {
    const authenticator = openAuthenticator({
      keys: {
        find: async () => (stored === undefined ? [] : [stored]),
        noteUse: () => Promise.reject(new Failure('unavailable', 'away')),
      },
      verifyToken: undefined,
      onTrouble: (failure) => troubles.push(failure),
      now: () => start,
    });
    expect(await authenticator.authenticate(withKey(text))).toMatchObject({ customerId: 'acme' });
    expect(troubles).toHaveLength(1);
  });
});
