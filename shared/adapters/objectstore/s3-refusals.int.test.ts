import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { onePiece } from './measured.ts';
import { openS3Store } from './s3.ts';
import {
  type AnsweringService,
  forgetfulService,
  hasty,
  impatientStore,
  refuse,
  startService,
} from './s3-faults.fixture.ts';

// What no real server does on demand, by one that answers as the test says.

const bytes = Buffer.from('the content of an object');
let service: AnsweringService | undefined;
afterEach(async () => {
  await service?.close();
  service = undefined;
});
const serving = async (...given: Parameters<typeof startService>) => {
  service = await startService(...given);
  return service;
};
const failureOf = async (work: Promise<unknown>): Promise<Failure> => {
  const caught = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(caught).toBeInstanceOf(Failure);
  return caught as Failure;
};

describe('an S3 store', () => {
  it.each([
    [403, 'InvalidAccessKeyId', 'misconfigured', /credentials/],
    [403, 'SignatureDoesNotMatch', 'misconfigured', /credentials/],
    [403, 'AccessDenied', 'misconfigured', /policy of the bucket/],
    [403, 'RequestTimeTooSkewed', 'misconfigured', /clock/],
    [404, 'NoSuchBucket', 'misconfigured', /no such bucket/],
    [301, 'PermanentRedirect', 'misconfigured', /another region/],
    [400, 'AuthorizationHeaderMalformed', 'misconfigured', /region/],
    [403, 'QuotaExceeded', 'no-capacity', /quota/],
    [507, 'InsufficientStorage', 'no-capacity', /full/],
    [507, 'XMinioStorageFull', 'no-capacity', /full/],
    [507, 'SomethingElse', 'no-capacity', /full/],
    [503, 'SlowDown', 'unavailable', /SlowDown/],
    [500, 'InternalError', 'unavailable', /InternalError/],
    [429, 'TooManyRequests', 'unavailable', /429/],
    [400, 'BadDigest', 'unavailable', /altered on their way/],
    [400, 'SomethingElse', 'misconfigured', /SomethingElse, 400/],
  ] as const)('says what %i %s means', async (status, code, failure, message) => {
    const { endpoint } = await serving((_asked, response) => refuse(response, status, code));
    const found = await failureOf(impatientStore(endpoint).put('k', bytes));
    expect(found).toMatchObject({ code: failure, message: expect.stringMatching(message) });
    expect(found.message).toMatch(/^The bucket b failed to write k/);
    expect(found.message).not.toMatch(/secret-of-the-test|the words of the service/);
  });

  it('tries again what may go away by itself', async () => {
    const keep = forgetfulService((all) => ({ bytes: all }));
    const { endpoint, asked } = await serving((one, response, count) =>
      count === 1 ? refuse(response, 503, 'SlowDown') : keep(one, response),
    );
    expect(await impatientStore(endpoint).put('k', bytes)).toBe('written');
    expect(asked.map(({ method }) => method)).toEqual(['PUT', 'PUT', 'HEAD']);
  });

  it('finds that the tail of an object was lost', async () => {
    const { endpoint } = await serving(forgetfulService((all) => ({ bytes: all.subarray(0, 10) })));
    expect(await failureOf(impatientStore(endpoint).put('k', bytes))).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/it has 10 of its 24 bytes/),
    });
  });

  it('finds that an object was lost', async () => {
    const { endpoint } = await serving((asked, response) => {
      if (asked.method === 'PUT') response.writeHead(200, { etag: '"e"' }).end();
      else refuse(response, 404, 'NoSuchKey');
    });
    expect(await failureOf(impatientStore(endpoint).put('k', bytes))).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/it is not there/),
    });
  });

  it('looks again for an object that is seen a little later than it was said to be there', async () => {
    const keep = forgetfulService((all) => ({ bytes: all }));
    const { endpoint, asked } = await serving((one, response, count) =>
      count === 2 ? refuse(response, 404, 'NoSuchKey') : keep(one, response),
    );
    expect(await impatientStore(endpoint).put('k', bytes)).toBe('written');
    expect(asked.map(({ method }) => method)).toEqual(['PUT', 'HEAD', 'HEAD']);
  });

  it('asks once to finish a large object, though the service is silent for long', async () => {
    const { endpoint, asked } = await serving((one, response) => {
      const xml = (text: string) => response.writeHead(200, { 'content-type': 'application/xml' }).end(text);
      if (one.path.includes('uploads'))
        xml('<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>');
      else if (one.method === 'PUT') response.writeHead(200, { etag: '"e"' }).end();
      else if (one.method === 'POST') setTimeout(() => xml('<CompleteMultipartUploadResult/>'), 3_000);
      else response.writeHead(200, { 'content-length': 11_000_000 }).end();
    });
    const written = await impatientStore(endpoint, { idleMs: 2_000 }).write('k', onePiece(Buffer.alloc(11_000_000)));
    expect(written.outcome).toBe('written');
    // a part may be sent again on a machine that stood still
    expect(asked.filter(({ method, path }) => method === 'POST' && path.includes('uploadId'))).toHaveLength(1);
    const inTurn = asked.map(({ method }) => method).filter((method, at, all) => method !== all[at - 1]);
    expect(inTurn).toEqual(['POST', 'PUT', 'POST', 'HEAD']);
    expect(new Set(asked.filter(({ method }) => method === 'PUT').map(({ path }) => path)).size).toBe(3);
  });

  it('finds that an object has another checksum', async () => {
    const checksum = Buffer.alloc(32).toString('base64');
    const { endpoint } = await serving(forgetfulService((all) => ({ bytes: all, checksum })));
    expect(await failureOf(impatientStore(endpoint).put('k', bytes))).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/another checksum/),
    });
  });

  it.each([
    ['and has no more', true, 'damaged', /fewer bytes than it says/],
    ['and takes no ranges', false, 'misconfigured', /takes no ranges/],
  ] as const)(
    'never ends a stream early in silence: the service breaks off %s',
    async (_what, takesRanges, code, message) => {
      const { endpoint } = await serving(
        forgetfulService((all) => ({ bytes: all.subarray(0, 10), size: all.length }), takesRanges),
      );
      const store = impatientStore(endpoint);
      await store.put('k', bytes);
      expect(await failureOf(store.get('k'))).toMatchObject({ code, message: expect.stringMatching(message) });
    },
  );

  it('gives up on a service that does not answer', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const store = impatientStore(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`, hasty);
    const startedMs = performance.now();
    const works = [
      () => store.put('k', bytes),
      () => store.get('k'),
      () => store.head('k'),
      () => store.list({ prefix: '' }),
      () => store.remove('k'),
    ];
    for (const work of works) {
      expect(await failureOf(work())).toMatchObject({ code: 'unavailable' });
    }
    expect(performance.now() - startedMs).toBeLessThan(30_000);
    silent.close();
  });

  it('gives up on a service that sends a byte now and then', async () => {
    const { endpoint } = await serving((_asked, response) => {
      response.writeHead(200, { etag: '"e"', 'content-length': 10_000 });
      const timer = setInterval(() => response.write('x'), 50);
      response.once('close', () => clearInterval(timer));
    });
    expect(await failureOf(impatientStore(endpoint, { callMs: 500 }).get('k'))).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/too slowly/),
    });
  });

  it('gives up on a service that is not there', async () => {
    const store = impatientStore(`http://127.0.0.1:${await freePort()}`);
    expect(await failureOf(store.put('k', bytes))).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/ECONNREFUSED/),
    });
    expect(await failureOf(store.write('k', onePiece(Buffer.alloc(11_000_000))))).toMatchObject({
      code: 'unavailable',
    });
  });

  it('throws what the reader of the credentials threw', async () => {
    const missing = new Failure('misconfigured', 'there is no file with credentials');
    const store = openS3Store({
      endpoint: 'http://127.0.0.1:1',
      region: 'r',
      bucket: 'b',
      credentials: () => Promise.reject(missing),
    });
    expect(await failureOf(store.put('k', bytes))).toBe(missing);
  });
});
