import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { inPieces } from '#shared/testing/contracts/object-store-streams.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { openObjectStore } from './open.ts';
import { isWithoutS3, s3World, whyWithoutS3 } from './s3.fixture.ts';

const large = randomBytes(12_000_000);
const bytes = Buffer.from('the content');

describe.skipIf(isWithoutS3)(`the S3 store on a bad day${whyWithoutS3}`, () => {
  const world = s3World();
  let proxy: TcpProxy | undefined;
  afterEach(() => proxy?.close());

  /** A bucket of its own behind a connection that a test breaks. */
  async function behindProxy() {
    const { server, open } = world();
    const made = await startTcpProxy(server);
    proxy = made;
    const bucket = await server.newBucket();
    const endpoint = `http://127.0.0.1:${made.port}`;
    return {
      proxy: made,
      bucket,
      store: open({ bucket, endpoint, limits: { idleMs: 2_000, attempts: 8 } }),
      direct: open({ bucket }),
    };
  }

  /** Parts that nobody sees and that take room. */
  async function partsLeft(bucket: string): Promise<string[]> {
    const entries = await readdir(world().server.folderOf(bucket), { recursive: true, withFileTypes: true });
    return entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  }

  it.each(['before', 'while', 'after'] as const)(
    'writes once when the connection breaks %s the answer',
    async (when) => {
      const { proxy: cutting, store, direct } = await behindProxy();
      const cut = cutting.cutAt('PUT /', { when });
      expect(await store.put('k', bytes, { onlyIfNew: true })).toBe('written');
      await cut;
      expect(await direct.get('k')).toEqual(bytes);
      expect(await store.put('k', bytes, { onlyIfNew: true })).toBe('exists');
    },
  );

  it.each(['before', 'while', 'after'] as const)(
    'finishes a large object once when the connection breaks %s the answer',
    async (when) => {
      const { proxy: cutting, store, direct, bucket } = await behindProxy();
      const cut = cutting.cutAt('<CompleteMultipartUpload', { when });
      expect(await store.write('k', inPieces(large, 1_000_000), { onlyIfNew: true })).toMatchObject({
        outcome: 'written',
      });
      await cut;
      expect((await direct.get('k'))?.equals(large)).toBe(true);
      expect(await partsLeft(bucket)).toHaveLength(1);
    },
  );

  it("does not take another writer's object for its own when an answer is lost", async () => {
    const { proxy: cutting, store, direct } = await behindProxy();
    const cut = cutting.cutAt('PUT /', { when: 'before' });
    const writing = store.put('k', bytes, { onlyIfNew: true });
    await cut;
    cutting.refuse();
    // the same content: only whose write it was tells them apart
    expect(await direct.put('k', bytes, { onlyIfNew: true })).toBe('written');
    cutting.accept();
    expect(await writing).toBe('exists');
  });

  it('leaves nothing of an upload that breaks', async () => {
    const { store, bucket } = await behindProxy();
    async function* breaking() {
      yield* inPieces(large, 1_000_000);
      throw new Error('the source broke');
    }
    await expect(store.write('k', breaking())).rejects.toThrow('the source broke');
    await expect(store.write('k', inPieces(large, 1_000_000), { expected: { size: 5 } })).rejects.toThrow(/not 5/);
    expect(await partsLeft(bucket)).toEqual([]);
  });

  it('does not read the source of a large object that is there', async () => {
    const { store, direct } = await behindProxy();
    await direct.put('k', bytes);
    let read = 0;
    async function* counting() {
      for await (const piece of inPieces(Buffer.concat([large, large, large]), 1_000_000)) {
        read += piece.length;
        yield piece;
      }
    }
    expect(await store.write('k', counting(), { onlyIfNew: true })).toEqual({ outcome: 'exists' });
    expect(read).toBeLessThan(8_000_000);
  });

  it('goes on reading when its connection breaks', async () => {
    const { proxy: cutting, store } = await behindProxy();
    await store.write('k', inPieces(large, 1_000_000));
    const pieces: Buffer[] = [];
    let cuts = 0;
    let size = 0;
    for await (const piece of (await store.read('k'))?.bytes ?? []) {
      pieces.push(piece);
      size += piece.length;
      if (size > (cuts + 1) * 2_500_000 && cuts < 4) {
        cuts += 1;
        cutting.cutAll();
      }
    }
    expect(cuts).toBe(4);
    expect(Buffer.concat(pieces).equals(large)).toBe(true);
  });

  it('never mixes an object with what replaced it', async () => {
    const { proxy: cutting, store, direct } = await behindProxy();
    await store.write('k', inPieces(large, 1_000_000));
    await expect(async () => {
      let first = true;
      for await (const _ of (await store.read('k'))?.bytes ?? []) {
        if (!first) continue;
        first = false;
        await direct.write('k', inPieces(randomBytes(12_000_000), 1_000_000));
        cutting.cutAll();
      }
    }).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/replaced or removed while/) });
  });

  it('has the patience of a Job: the server may be away for seconds in the middle of an upload', async () => {
    const { proxy: cutting, bucket } = await behindProxy();
    const { region, writer } = world().server;
    const endpoint = `http://127.0.0.1:${cutting.port}`;
    const store = openObjectStore({ kind: 's3', endpoint, region, bucket, ...writer });
    // two parts of 16 MiB and a bit
    const bytesOfJob = Buffer.concat([large, large, large]);
    let away: NodeJS.Timeout | undefined;
    async function* source() {
      for await (const piece of inPieces(bytesOfJob, 1_000_000)) {
        if (away === undefined) {
          cutting.refuse();
          away = setTimeout(() => cutting.accept(), 2_000);
        }
        yield piece;
      }
    }
    expect(await store.write('k', source())).toMatchObject({ outcome: 'written' });
    expect((await store.get('k'))?.equals(bytesOfJob)).toBe(true);
  });

  it('goes on with a server that crashes and comes back', async () => {
    const { server, open } = world();
    const bucket = await server.newBucket();
    const store = open({ bucket, limits: { attempts: 10 } });
    let restarting: Promise<void> | undefined;
    async function* source() {
      for await (const piece of inPieces(large, 1_000_000)) {
        restarting ??= server.restart({ signal: 'SIGKILL' });
        yield piece;
      }
    }
    const written = await store.write('k', source()).catch((error: unknown) => error);
    await restarting;
    const found = await store.get('k');
    if ((written as { outcome?: string }).outcome === 'written') expect(found?.equals(large)).toBe(true);
    else expect([written, found]).toMatchObject([{ code: 'unavailable' }, undefined]);
    expect(await store.put('after', bytes)).toBe('written');
  });
});

describe.skipIf(isWithoutS3)(`the rights of who uses the S3 store${whyWithoutS3}`, () => {
  const world = s3World();

  it('lets the writer write and read, and not delete', async () => {
    const store = world().open();
    await store.put('k', bytes);
    await expect(store.remove('k')).rejects.toMatchObject({ code: 'not-allowed' });
    expect(await store.get('k')).toEqual(bytes);
  });

  it('lets the remover list and delete, and neither read nor write', async () => {
    const { open, server } = world();
    const remover = open({ credentials: server.remover });
    await open().put('r/k', bytes);
    expect((await remover.list({ prefix: 'r/' })).keys).toEqual(['r/k']);
    await expect(remover.get('r/k')).rejects.toMatchObject({ code: 'misconfigured' });
    await expect(remover.put('r/k', bytes)).rejects.toMatchObject({ code: 'misconfigured' });
    await remover.remove('r/k');
    expect(await open().get('r/k')).toBeUndefined();
  });

  it('refuses strangers', async () => {
    const { open, server } = world();
    const wrong = open({ credentials: { ...server.writer, secretAccessKey: 'wrong' } });
    const unknown = open({ credentials: { accessKeyId: 'nobody', secretAccessKey: 'wrong' } });
    for (const store of [wrong, unknown]) {
      await expect(store.put('k', bytes)).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringMatching(/credentials/),
      });
      await expect(store.head('k')).rejects.toMatchObject({ code: 'misconfigured' });
    }
    await expect(open({ bucket: 'no-such-bucket' }).put('k', bytes)).rejects.toMatchObject({ code: 'misconfigured' });
  });

  it('locks objects in a bucket that offers it, and removes all versions of those that are not locked', async () => {
    const { open, server } = world();
    const bucket = await server.newBucket({ lock: true });
    const store = open({ bucket });
    const remover = open({ bucket, credentials: server.remover });
    const lockUntil = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 3_600_000);
    await store.put('locked', bytes, { lockUntil });
    await store.write('locked-large', inPieces(large, 1_000_000), { lockUntil, onlyIfNew: true });
    for (const key of ['locked', 'locked-large']) {
      expect((await store.head(key))?.lockedUntil).toEqual(lockUntil);
      await expect(remover.remove(key)).rejects.toMatchObject({ code: 'not-allowed' });
      expect(await store.head(key)).toBeDefined();
    }
    await store.put('free', bytes);
    await store.put('free', Buffer.from('again'));
    expect(await store.head('free')).toMatchObject({ lockedUntil: undefined });
    await remover.remove('free');
    await remover.remove('free');
    expect(await store.get('free')).toBeUndefined();
    expect((await store.list({ prefix: '' })).keys).toEqual(['locked', 'locked-large']);
  });

  it('writes without a lock where the bucket offers none', async () => {
    const { open, server } = world();
    const store = open();
    await store.put('l/k', bytes, { lockUntil: new Date(Date.now() + 3_600_000) });
    expect(await store.head('l/k')).toMatchObject({ lockedUntil: undefined });
    await open({ credentials: server.remover }).remove('l/k');
    expect(await store.head('l/k')).toBeUndefined();
  });
});
