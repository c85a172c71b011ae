import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAccess } from './access.ts';

describe('access', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'access-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('comes from YAML with a login of its own too', async () => {
    const file = join(folder, 'kubeconfig.yaml');
    await writeFile(
      file,
      `current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: ${btoa('CA')}}}]
users: [{name: u, user: {token: t}}]
`,
    );
    const access = await openAccess({ kubeconfigFile: file })();
    expect(access.origin).toBe('https://10.0.0.1:6443');
    expect(access.headers['authorization']).toBe('Bearer t');
    expect(String(access.tls.ca)).toBe('CA');
  });

  it('comes from a pod’s ServiceAccount, anew when asked to', async () => {
    await writeFile(join(folder, 'ca.crt'), 'CA');
    await writeFile(join(folder, 'token'), 'first\n');
    const access = openAccess({ serviceAccountFolder: folder });
    expect((await access()).headers).toEqual({ authorization: 'Bearer first' });
    await writeFile(join(folder, 'token'), 'second\n');
    expect((await access()).headers).toEqual({ authorization: 'Bearer first' });
    expect((await access({ isRefresh: true })).headers).toEqual({ authorization: 'Bearer second' });
  });

  it('says what to set when there is none', async () => {
    const access = openAccess({ serviceAccountFolder: join(folder, 'nothing') });
    await expect(access()).rejects.toMatchObject({ code: 'misconfigured', message: /Set KUBECONFIG/ });
  });
});
