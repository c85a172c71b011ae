import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureProgram } from '#shared/sandbox/packages.ts';

const run = promisify(execFile);

export type Identity = { caCertificate: string; certificate: string; key: string; token: string };

/**
 * The server's own certificate authority, its certificate for loopback and the callers' bearer token.
 * Made once per folder with the `openssl` command, private to this user.
 */
export async function ensureIdentity(folder: string): Promise<Identity> {
  const final = join(folder, 'identity');
  if (!(await exists(final))) {
    // Made beside and renamed: a start that was interrupted leaves no half of it.
    const unfinished = `${final}.unfinished`;
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true, mode: 0o700 });
    await makeCertificates(unfinished);
    await writeFile(join(unfinished, 'token'), randomBytes(32).toString('base64url'), { mode: 0o600 });
    await rename(unfinished, final);
  }
  const read = (name: string) => readFile(join(final, name), 'utf8');
  const [caCertificate, certificate, key, token] = await Promise.all([
    read('ca.crt'),
    read('server.crt'),
    read('server.key'),
    read('token'),
  ]);
  return { caCertificate, certificate, key, token };
}

async function makeCertificates(folder: string): Promise<void> {
  const program = await ensureProgram('openssl', 'openssl');
  const openssl = (...args: string[]) => run(program, args, { cwd: folder });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const years = ['-days', '3650'];
  const extensions =
    'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n' +
    'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc\n';
  await openssl(
    'req',
    '-x509',
    ...newKey,
    ...years,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-subj',
    '/CN=odoo-fleet-sandbox-ca',
  );
  await openssl(
    'req',
    '-new',
    ...newKey,
    '-keyout',
    'server.key',
    '-out',
    'server.csr',
    '-subj',
    '/CN=odoo-fleet-sandbox-api',
  );
  await writeFile(join(folder, 'server.ext'), extensions);
  const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-set_serial', `0x${randomBytes(8).toString('hex')}`];
  await openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    ...signing,
    ...years,
    '-extfile',
    'server.ext',
    '-out',
    'server.crt',
  );
  // Nothing else is ever signed by this authority.
  await rm(join(folder, 'ca.key'));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
