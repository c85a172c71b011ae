import { describe, expect, it } from 'vitest';
import { readPlainKubeconfig } from './access.ts';

describe('a kubeconfig', () => {
  const config = (user: object) => ({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: { server: 'https://10.0.0.1:6443', 'certificate-authority-data': btoa('CA') } }],
    users: [{ name: 'u', user }],
  });

  it('comes from a kubeconfig of plain data', async () => {
    const access = await readPlainKubeconfig(JSON.stringify(config({ token: 't' })))?.();
    expect(access).toEqual({
      origin: 'https://10.0.0.1:6443',
      headers: { authorization: 'Bearer t' },
      tls: { ca: Buffer.from('CA') },
    });
  });

  it('leaves every other kubeconfig to the full reader', () => {
    expect(readPlainKubeconfig(JSON.stringify(config({ exec: { command: 'login' } })))).toBeUndefined();
    expect(readPlainKubeconfig(JSON.stringify(config({ tokenFile: '/t' })))).toBeUndefined();
    expect(readPlainKubeconfig('apiVersion: v1\n')).toBeUndefined();
    expect(readPlainKubeconfig('{a: b}')).toBeUndefined();
  });
});
