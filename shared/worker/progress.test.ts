import { expect, it } from 'vitest';
import { reportProgress } from './progress.ts';

function watched(put: () => Promise<'written'> = async () => 'written') {
  const written: unknown[] = [];
  const said: string[] = [];
  let nowMs = 0;
  const store = {
    put: (_key: string, bytes: Uint8Array) => {
      written.push(JSON.parse(Buffer.from(bytes).toString()));
      return put();
    },
  };
  const progress = reportProgress(store, 'a/progress', { say: (line) => said.push(line), nowMs: () => nowMs });
  return { progress, written, said, pass: (ms: number) => void (nowMs += ms) };
}

it('writes at most once in two seconds, whatever happens meanwhile', async () => {
  const { progress, written, pass } = watched();
  progress.phase('dump', { total: 10, unit: 'bytes' });
  for (let n = 0; n < 5; n += 1) {
    await progress.settled();
    pass(500);
    progress.add(1);
  }
  await progress.settled();
  expect(written).toMatchObject([
    { phase: 'dump', done: 0, total: 10, at: '1970-01-01T00:00:00.000Z' },
    { phase: 'dump', done: 4, at: '1970-01-01T00:00:02.000Z' },
  ]);
});

it('begins to count anew with each phase', async () => {
  const { progress, written, pass } = watched();
  progress.phase('dump');
  progress.add(7);
  await progress.settled();
  pass(2_000);
  progress.phase('files', { total: 3, unit: 'files' });
  await progress.settled();
  expect(written.at(-1)).toMatchObject({ phase: 'files', done: 0, total: 3, unit: 'files' });
});

it('says once that it cannot be written, and goes on', async () => {
  const { progress, said, pass } = watched(() => Promise.reject(new Error('no room')));
  for (let n = 0; n < 3; n += 1) {
    progress.add(1);
    await progress.settled();
    pass(3_000);
  }
  expect(said).toEqual(['The progress could not be written: Unexpected error: no room']);
});
