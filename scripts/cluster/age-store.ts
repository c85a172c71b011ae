import { request } from 'undici';
import { poll } from './poll.ts';

/**
 * Writes a few revisions before the API server starts: it remembers none older than its start, so that
 * version 1 is forgotten, as it is in every cluster that has lived for a while. Waits until etcd answers.
 */
export async function ageStore(port: number): Promise<void> {
  const body = JSON.stringify({ key: Buffer.from('age').toString('base64'), value: '' });
  for (let revision = 0; revision < 5; revision += 1) {
    await poll('etcd', async () => {
      const { statusCode, body: answer } = await request(`http://127.0.0.1:${port}/v3/kv/put`, {
        method: 'POST',
        body,
      });
      await answer.dump();
      return statusCode === 200;
    });
  }
}
