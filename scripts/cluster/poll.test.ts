import { expect, it } from 'vitest';
import { poll, waitFor } from './poll.ts';

const options = { limitMs: 60_000, signal: new AbortController().signal, sayMs: 0, pauseMs: 1 };

it('says what is missing until nothing is', async () => {
  const said: string[] = [];
  const missing = ['not registered', 'Ready is False'];
  await waitFor('the node', async () => missing.shift(), { ...options, say: (line) => said.push(line) });
  expect(said).toEqual([
    expect.stringMatching(/^waiting for the node for \d+ s: not registered$/),
    expect.stringMatching(/^waiting for the node for \d+ s: Ready is False$/),
  ]);
});

it('takes a look that fails as one that found something missing', async () => {
  const said: string[] = [];
  const looks = [() => Promise.reject(new Error('connection refused\nat once')), async () => undefined];
  const look = async () => looks.shift()?.();
  await waitFor('the API server', look, { ...options, say: (line) => said.push(line) });
  expect(said).toEqual([expect.stringMatching(/^waiting for the API server for \d+ s: connection refused at once$/)]);
});

it('names what it saw last when it gives up', async () => {
  const wait = waitFor('the node', async () => 'Ready is False', { ...options, limitMs: -1, say: () => undefined });
  await expect(wait).rejects.toThrow(/^gave up after .* s: the node: Ready is False$/);
});

it('ends at once, with the reason, when it is told to', async () => {
  const control = new AbortController();
  const look = async () => {
    control.abort(new Error('kubelet cannot live'));
    return 'nothing';
  };
  const wait = waitFor('the node', look, { ...options, signal: control.signal, say: () => undefined });
  await expect(wait).rejects.toThrow('kubelet cannot live');
});

it('asks again when a server has died while it answered', async () => {
  const answers = ['ECONNREFUSED', 'UND_ERR_SOCKET'];
  let asked = 0;
  await poll('etcd', async () => {
    asked += 1;
    const code = answers.shift();
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    return true;
  });
  expect(asked).toBe(3);
});
